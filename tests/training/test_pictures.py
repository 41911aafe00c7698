"""The pictures of a card: of any number of classes, epochs and images, and with any names."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from mnist_torchserve.training import dataset, pictures, unseen
from mnist_torchserve.training.campaign import TrainedSeed
from mnist_torchserve.training.evaluation import Evaluation
from mnist_torchserve.training.fit import Epoch

SHORT = [f"{chr(97 + index % 26)}{index // 26}" for index in range(100)]
LONG = [f"a name that is far too long for any picture, number {index}" for index in range(100)]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures that are drawn, by their names."""
    drawn: dict[str, Figure] = {}

    def keep(figure: Figure, path: Path, **_: object) -> None:
        drawn[path.stem] = figure
        figure.canvas.draw()

    monkeypatch.setattr(Figure, "savefig", keep)
    return drawn


def an_outcome(classes: int, epochs: list[Epoch], images: int = 200) -> tuple[TrainedSeed, dataset.Split]:
    rng = np.random.default_rng(1)
    split = dataset.Split(
        rng.integers(0, 256, (images, 784)).astype(np.uint8), (np.arange(images) % classes).astype(np.uint8)
    )
    probabilities = rng.dirichlet(np.ones(classes), images).astype(np.float32)
    others = {kind: rng.random(images).astype(np.float32) for kind in unseen.KINDS}
    return TrainedSeed(1, Path(), 1.0, 0.5, epochs, Evaluation({}, probabilities, others)), split


def overlapping(figure: Figure, labels: list[Text]) -> int:
    boxes = [label.get_window_extent() for label in labels if label.get_text()]
    return sum(one.overlaps(other) for one, other in pairwise(boxes))


@pytest.mark.parametrize("names", [SHORT, LONG, list(map(str, range(100)))], ids=["short", "long", "numbers"])
@pytest.mark.parametrize("classes", [2, 10, 26, 30, 31, 100])
def test_names_beside_a_confusion_matrix_can_be_told_apart(classes: int, names: list[str]) -> None:
    outcome, split = an_outcome(classes, [])
    shown = [pictures._shown(index, name, pictures._LONGEST) for index, name in enumerate(names[:classes])]
    assert len(set(shown)) == classes
    figure = pictures._confusion_matrix(outcome.evaluation.probabilities, split, "images", shown)
    figure.canvas.draw()
    [axes] = figure.axes
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert 2 <= len(labels) <= 30
        assert overlapping(figure, labels) == 0
    assert figure.get_figwidth() <= 13
    counts = [int(text.get_text()) for text in axes.texts]
    assert sum(counts) == len(split.labels)


@pytest.mark.parametrize(
    "epochs",
    [
        [Epoch(1, 2.5, 0.6, 1)],
        [Epoch(1, 0.001, 0, 1)],
        [Epoch(1, 2.5, 0.6, 1), Epoch(1, 1, 0.2, 1)],
        [Epoch(1, 3 / n**2, 0.8 / n**2, 1) for n in range(1, 41)],
        [Epoch(1, 1 / n, max(0, 0.2 - n / 20), 1) for n in range(1, 9)],
    ],
    ids=["one", "one without error", "two", "forty", "down to none"],
)
def test_curves_of_any_length_are_seen(figures: dict[str, Figure], epochs: list[Epoch]) -> None:
    outcome, split = an_outcome(3, epochs)
    pictures.draw(outcome, [outcome], dataset.Dataset(split, split, split, ("a", "b", "c")), Path(), "images")
    for axes in figures["training_curves"].axes:
        [line] = axes.lines
        assert len(epochs) > 10 or line.get_marker() == "o"
        for number, height in np.asarray(line.get_xydata(), float):
            assert axes.get_xlim()[0] < number < axes.get_xlim()[1]
            assert axes.get_ylim()[0] <= height < axes.get_ylim()[1]
        ticks = [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
        assert ticks
        assert all(tick == round(tick) for tick in ticks)


def test_any_name_can_be_drawn(figures: dict[str, Figure]) -> None:
    """Without a warning for a character that the font lacks, nor an error for a formula that is none."""
    names = ("お", "$", "$a", "a_b^c", r"\frac{", "tab\there", "É", "日本", "🙂", "%d{x}")
    outcome, split = an_outcome(len(names), [Epoch(1, 1, 0.5, 1)])
    pictures.draw(outcome, [outcome], dataset.Dataset(split, split, split, names), Path(), "images")
    [axes] = figures["confusion_matrix"].axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        *("0", r"\$", r"\$a", "a_b^c", r"\frac{", "5", "É", "7", "8", "%d{x}")
    ]
