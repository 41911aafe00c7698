"""Every kind of picture that docs/images.md names, a few digits of each; `scripts/evaluate --images` reads 300."""

import re

import numpy as np
import pytest
from classifier import images
from classifier.runtime import Runtime
from mnist_torchserve.client import digits
from mnist_torchserve.training import image_accuracy
from mnist_torchserve.training.dataset import Split
from mnist_torchserve.training.kinds import light, reading, stencils, surroundings
from mnist_torchserve.training.kinds.catalog import KINDS, Kind
from mnist_torchserve.training.kinds.light import saved
from mnist_torchserve.training.kinds.stencils import Digits
from tests.support.fixtures import Sample

WRITTEN = 10
MISSED = 1 / 20  # one digit more than the table allows of hundreds


@pytest.fixture(scope="module")
def shown(sample: Sample) -> Digits:
    """Ten written digits and ten printed ones."""
    return stencils.draw(Split(digits.levels(sample[0][:WRITTEN]), sample[1][:WRITTEN]), ["DejaVuSans"])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_of_picture_is_read(model: Runtime, shown: Digits, kind: Kind) -> None:
    read = reading.read(kind, shown, model)
    assert read.right >= kind.want - MISSED
    assert read.surely_wrong == 0


def test_the_document_has_each_kind_and_what_it_measured_is_good() -> None:
    row = r"^\| (.*?) +\| +([\d.]+)% \| +(\d+)% \| +([\d.]+)% \|$"
    rows = re.findall(row, image_accuracy.DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, *_ in rows] == [kind.name for kind in KINDS]
    for (_, right, want, surely_wrong), kind in zip(rows, KINDS, strict=True):
        assert float(right) >= int(want) == round(100 * kind.want)
        assert float(surely_wrong) <= 100 * reading.MOST_SURELY_WRONG


EMPTY = {
    "a slope": lambda rng, blank: light.photograph(rng, blank, light.sloped(rng, blank.shape, 0.4)),
    "a vignette": lambda rng, blank: light.photograph(rng, blank, light.vignette(rng, blank.shape, 0.3)),
    "a lamp": lambda rng, blank: light.photograph(rng, blank, light.lamp(rng, blank.shape, 0.4)),
    "a soft shadow": lambda rng, blank: light.photograph(rng, blank, light.half(rng, blank.shape, 0.5, 0.06)),
    "a head": lambda rng, blank: light.photograph(rng, blank, light.head(rng, blank.shape, 0.4, 0.02)),
    "a frame": lambda rng, blank: saved(surroundings.framed(rng, blank, 1, 8, 6)),
    "bars": lambda rng, blank: saved(surroundings.barred(rng, blank, True)),
    "a table": lambda rng, blank: saved(surroundings.on_table(rng, blank, 2)),
}


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_sheet_is_no_digit_whatever_falls_on_it(model: Runtime, name: str) -> None:
    blank = np.zeros((stencils.SHEET, stencils.SHEET), np.float32)
    pixels = [images.read(EMPTY[name](np.random.default_rng(seed), blank)) for seed in range(10)]
    assert model.probabilities(np.stack(pixels)).max() < 0.9


def test_kinds_are_the_same_in_every_run(shown: Digits) -> None:
    for kind in KINDS[::7]:
        first, second = (kind.render(np.random.default_rng(1), shown.stencils[0]) for _ in range(2))
        assert first == second, kind.name


def test_what_is_missed_is_told() -> None:
    bad = reading.Reading(KINDS[0], KINDS[0].want - 0.01, 0)
    sure = reading.Reading(KINDS[0], 1, 0.02)
    assert not bad.is_good
    assert not sure.is_good
    assert f"| {KINDS[0].name} |" in reading.report([bad], 300)
