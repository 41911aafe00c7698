"""The folder of a model, `models/NAME`: its card, and in `archive/` all that goes into its archive beside handler/."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from classifier.model import GOLDEN_FILE, LABELS_FILE
from classifier.types import Pixels, Probabilities
from mnist_torchserve.project import ROOT

NO_OTHERS = "there is no class for none of these: every picture gets one of the classes"
TOLERANCE = 1e-3  # of the golden example's probability


def write_settings(folder: Path, name: str, pictures: str, *, on_cpu: bool) -> None:
    """Write the settings that MNIST's model has, but for how pictures are read, and on what it runs."""
    usual = (ROOT / "handler" / "model-config.yaml").read_text()
    if not on_cpu:
        usual = "".join(line for line in usual.splitlines(keepends=True) if not line.startswith("deviceType:"))
    text = usual.replace("the model `mnist`", f"the model `{name}`")
    (folder / "model-config.yaml").write_text(text.replace("pictures: mnist", f"pictures: {pictures}"))


def write_labels(folder: Path, labels: Sequence[str]) -> None:
    """Write the names of the classes, if they have any."""
    if labels:
        names = {str(index): label for index, label in enumerate(labels)}
        (folder / LABELS_FILE).write_text(json.dumps(names, indent=2, ensure_ascii=False) + "\n")


def write_golden(folder: Path, image: Pixels, probabilities: Probabilities) -> None:
    """Write an image (784,) with what the network itself says of it, (K,), as the golden example."""
    prediction = int(probabilities.argmax())
    confidence = float(probabilities[prediction])
    bounds = [max(0.0, confidence - TOLERANCE), min(1.0, confidence + TOLERANCE)]
    data = [round(float(value), 6) for value in image]
    golden = {"data": data, "prediction": prediction, "confidence": [round(bound, 6) for bound in bounds]}
    (folder / GOLDEN_FILE).write_text(json.dumps(golden) + "\n")


def write_code(folder: Path, files: Mapping[str, Path]) -> None:
    """Copy a user's code to where a worker imports it from."""
    for place, file in files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / place)


def write_card(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Write the model's card beside what goes into the archive."""
    card = [f"# Model card: {metadata['name']}", f"The network {metadata['summary']}", *metadata["remarks"]]
    calibration = metadata["calibration"]
    if calibration:
        card.append(
            f"Calibrated on {calibration['images']:,} images with the temperature {calibration['temperature']:.3f}: "
            f"NLL {calibration['before']['nll']:.4f} before, {calibration['after']['nll']:.4f} after; ECE "
            f"{calibration['before']['ece']:.2%} before, {calibration['after']['ece']:.2%} after; accuracy "
            f"{calibration['accuracy']:.2%}. The temperature was fitted to these images, so they do not test it."
        )
        card += calibration["doubts"]
    card.append("Written by `scripts/archive`. " + f"Weights: `{metadata['weights']}`, {metadata['created'][:10]}.")
    sentences = [part if part.startswith("#") else part[0].upper() + part[1:].rstrip(".") + "." for part in card]
    (folder.parent / "model_card.md").write_text("\n\n".join(sentences) + "\n", encoding="utf-8")
