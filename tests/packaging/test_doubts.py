"""What works but is likely wrong is said: pixels of another range, other images, another meaning of the output."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from mnist_torchserve.client import digits
from mnist_torchserve.packaging.confidence import calibrate
from mnist_torchserve.packaging.errors import PackagingError
from tests.packaging.linear import LINEAR, Pack, giving, linear
from tests.support.idx_files import shapes, write_idx, write_shapes

SAME = r"nearly the same answer to all .* real digits.*--normalize 0 0\.00392157.*--dark-on-light"
INSIDE = {
    "divides": "self.out((x / 255 - 0.1307) / 0.3081)",
    "float": "self.out(x.float().div(255.0))",
    "centres": "self.out((x - 127.5) / 127.5)",
}


@pytest.fixture(scope="module")
def reads_digits() -> dict[str, Any]:
    """A layer that reads the sample of digits."""
    pixels, labels = digits.sample()
    images = torch.from_numpy(digits.floats(pixels))
    return _fitted(images, torch.from_numpy(labels).long(), 10)


def _fitted(images: torch.Tensor, labels: torch.Tensor, classes: int) -> dict[str, Any]:
    torch.manual_seed(0)
    layer = nn.Linear(784, classes)
    optimizer = torch.optim.Adam(layer.parameters(), 0.01)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(layer(images), labels).backward()  # type: ignore[no-untyped-call]  # torch's
        optimizer.step()
    return {f"out.{name}": value for name, value in layer.state_dict().items()}


@pytest.mark.parametrize("inside", INSIDE)
def test_pixels_of_another_range_are_noticed(pack: Pack, reads_digits: dict[str, Any], inside: str) -> None:
    assert re.search(SAME, pack(giving(INSIDE[inside]), reads_digits))


def test_network_that_tells_digits_apart_is_not_doubted(pack: Pack, reads_digits: dict[str, Any]) -> None:
    assert "nearly the same" not in pack(LINEAR, reads_digits)
    divides = giving(INSIDE["divides"])
    assert "nearly the same" not in pack(divides, reads_digits, std=0.00392157)


@pytest.fixture(scope="module")
def reads_shapes() -> dict[str, Any]:
    images, labels = shapes(300, 1)
    return _fitted(torch.from_numpy(images).reshape(-1, 784).float() / 255, torch.from_numpy(labels).long(), 3)


THREE = LINEAR.replace("classes=10", "classes=3")


def test_calibration_of_a_network_that_reads_its_images_is_not_doubted(
    tmp_path: Path, pack: Pack, reads_shapes: dict[str, Any]
) -> None:
    folder = write_shapes(tmp_path / "idx")
    images, labels = shapes(90, 5)
    labels[:9] = (labels[:9] + 1) % 3
    write_idx(folder / "validation-images-idx3-ubyte", images)
    write_idx(folder / "validation-labels-idx1-ubyte", labels)
    said = pack(THREE, reads_shapes, validation=folder)
    assert not re.search("chance|[Nn]ot calibrated|test images|nearly the same", said)


def test_calibration_finds_the_temperature_that_was_taken_away(
    tmp_path: Path, pack: Pack, reads_shapes: dict[str, Any]
) -> None:
    """A network that is four times too sure of what it reads is calibrated back."""
    folder = write_shapes(tmp_path / "idx", first=1)
    sure = giving("self.out(x) * 4", THREE)
    plain = pack(sure.replace(" * 4", ""), reads_shapes, validation=folder)
    again = pack(sure, reads_shapes, validation=folder)
    found = [float(re.findall(r"temperature ([\d.]+)", said)[0]) for said in (plain, again)]
    assert found[1] == pytest.approx(4 * found[0], rel=0.02)
    before, after = (float(value) for value in re.findall(r"NLL ([\d.]+) before and ([\d.]+) after", again)[0])
    assert after < before
    golden = json.loads((tmp_path / "packed" / "archive" / "golden_example.json").read_text())
    validation, truth = shapes(150, 2)
    [row] = [
        index for index, image in enumerate(validation) if (image.ravel() / 255).round(6).tolist() == golden["data"]
    ]
    assert golden["prediction"] == truth[row], "it reads it rightly"
    card = (tmp_path / "packed" / "model_card.md").read_text()
    assert "Calibrated on 150 images" in card
    assert "Not calibrated" not in card


def test_calibration_at_chance_is_doubted(tmp_path: Path, pack: Pack, reads_shapes: dict[str, Any]) -> None:
    heard = pack(THREE, reads_shapes, validation=write_shapes(tmp_path / "idx"), inverted=True, mean=5.0)
    assert re.search(r"no better than chance\..*--transpose.*--normalize 0 0\.00392157.*--dark-on-light", heard)
    assert "no better than chance" in (tmp_path / "packed" / "model_card.md").read_text()


def answers(scale: float, right: float) -> tuple[Any, Any]:
    """Probabilities (300, 3) of logits whose size is `scale`, of which a share is right, and the labels (300,)."""
    rng = np.random.default_rng(0)
    labels = (np.arange(300) % 3).astype(np.uint8)
    powers = np.exp(np.eye(3)[np.where(rng.random(300) < right, labels, (labels + 1) % 3)] * scale)
    return (powers / powers.sum(1, keepdims=True)).astype(np.float32), labels


@pytest.mark.parametrize("scale", [30.0, 0.05])
def test_temperature_is_found_far_from_1(scale: float) -> None:
    """Logits that are far too sure, or hardly sure at all, of what is mostly right."""
    probabilities, labels = answers(scale, 0.8)
    found = calibrate(probabilities, labels)
    right = (probabilities.argmax(1) == labels).mean()
    assert found["temperature"] == pytest.approx(scale / np.log(2 * right / (1 - right)), rel=0.05)
    assert found["after"]["ece"] < 0.02 < found["before"]["ece"]
    assert found["doubts"] == []


@pytest.mark.parametrize(
    ("scale", "right", "words"),
    [
        (
            0.001,
            0.8,
            "Not calibrated: its temperature of 0.01 is at the end of the range that was tried. Check the labels",
        ),
        (3.0, 1.0, "Not calibrated: it reads every validation image correctly.*More or harder images would show"),
    ],
)
def test_what_stays_uncalibrated_is_said(scale: float, right: float, words: str) -> None:
    [doubt] = calibrate(*answers(scale, right))["doubts"]
    assert re.match(words, doubt)


def test_calibration_on_the_test_images_is_said(tmp_path: Path, pack: Pack, reads_shapes: dict[str, Any]) -> None:
    said = pack(THREE, reads_shapes, validation=write_shapes(tmp_path / "idx"))
    assert re.search(r"test images.*validation-images-idx3-ubyte and validation-labels-idx1-ubyte", said)


@pytest.mark.parametrize(
    ("inside", "meaning", "words"),
    [
        ("self.out(x)", "probabilities", r"--output probabilities.*from -\d.*look like logits: leave --output out"),
        ("self.out(x)", "log-probabilities", r"--output log-probabilities.*look like logits"),
        ("self.out(x).log_softmax(1)", "probabilities", r"--output probabilities.*look like log-probabilities"),
        ("self.out(x).softmax(1)", "log-probabilities", r"look like probabilities"),
        ("torch.sigmoid(self.out(x))", "probabilities", r"--output probabilities.*sigmoids"),
    ],
)
def test_output_that_is_not_what_is_said_is_refused(pack: Pack, inside: str, meaning: str, words: str) -> None:
    with pytest.raises(PackagingError, match=words):
        pack(giving(inside), linear(), meaning=meaning)


def test_what_may_be_meant_is_taken_as_said(pack: Pack) -> None:
    softmax = giving("self.out(x).softmax(1)")
    assert "gives logits of 10 classes, though they sum to 1 as probabilities do" in pack(softmax, meaning="logits")
    without_last = softmax.replace("softmax(1)\n", "softmax(1)[:, :-1]\n")
    assert "gives probabilities of 9 classes" in pack(without_last, meaning="probabilities")


LEGITIMATE = {
    "seeds itself": "import torch\ntorch.manual_seed(3)\n"
    + giving(
        "self.out(x.flatten(1) @ self.noise)",
        LINEAR.replace("(784, classes)", "(784, classes)\n        self.noise = torch.randn(784, 784)"),
    ),
    "is constructed once": LINEAR.replace(
        "super()", "assert not vars(Net).get('made')\n        Net.made = 1\n        super()"
    ),
    "masks a class": giving("self.out(x.flatten(1)).masked_fill(torch.arange(10) == 3, -torch.inf)"),
}


@pytest.mark.parametrize("name", LEGITIMATE)
def test_unusual_network_is_packed_without_a_doubt(pack: Pack, name: str) -> None:
    assert "Exported to ONNX" in (said := pack(LEGITIMATE[name]))
    assert "no answer" not in said


def test_network_that_fails_for_a_black_image_is_packed_with_a_word(pack: Pack) -> None:
    said = pack(giving("self.out(x.flatten(1)) if x.any() else None.black"))
    assert "logits of 10 classes, but no answer to some images of one grey value" in said


def test_network_that_counts_bright_images_gets_one_at_a_time(pack: Pack) -> None:
    bright = "(x.flatten(1).mean(1) > 0.9).sum() > 1"
    said = pack(giving(f"self.out(x.flatten(1)) * torch.where({bright}, -1, 1)"))
    assert "and needs one image at a time" in said
