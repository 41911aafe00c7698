"""This project's own network, trained on images of a user's own: how it is trained, and what goes into its archive."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from classifier import runtime
from classifier.runtime import OnnxRuntime
from mnist_torchserve.client import weights
from mnist_torchserve.replacement import replacement
from mnist_torchserve.training import calibration, campaign, data_card, pictures
from mnist_torchserve.training.augmentation import Ranges
from mnist_torchserve.training.campaign import TrainedSeed
from mnist_torchserve.training.dataset import Dataset, DatasetError
from mnist_torchserve.training.fit import Configuration
from . import model_folder

_SHOWN = 5  # names of classes
AUGMENTATIONS = {
    "digits": Configuration().ranges,
    "light": Ranges(rotation=8, scale=0.1, shear=0.05, shift=2),
    "none": Ranges(rotation=0, scale=0, shear=0, shift=0),
}


def configuration(
    images: Dataset, epochs: int, augmentation: str, outlier_kinds: Any, *, either_polarity: bool
) -> Configuration:
    """How to train on these images: as on MNIST, but for what is special to digits, and for how few there may be."""
    usual = Configuration()
    batch = min(usual.digits_per_batch, len(images.train.labels) // 4)
    steps = epochs * (len(images.train.labels) // batch)
    return Configuration(
        epochs=epochs,
        digits_per_batch=batch,
        outliers=min(usual.outliers, len(images.train.labels)),
        average_decay=min(usual.average_decay, 1 - 8 / (steps + 8)),  # else the first steps would stay in it for ever
        ranges=AUGMENTATIONS[augmentation],
        outlier_kinds=outlier_kinds,
        either_polarity=either_polarity,
    )


def absent(images: Dataset) -> list[str]:
    """Say in half sentences which classes are missing where they are needed."""
    return [
        f"no {use} image shows class {' or '.join(names[:_SHOWN])}"
        + f", nor {len(names) - _SHOWN} others" * (len(names) > _SHOWN)
        for use, split in (("training", images.train), ("test", images.test))
        if (names := images.absent(split))
    ]


def publish(
    outcomes: Sequence[TrainedSeed],
    story: dict[str, Any],
    images: Dataset,
    folder: Path,
    labels: Sequence[str],
    read_pictures: Literal["mnist", "plain"],
) -> dict[str, Any]:
    """Replace all that goes into the archive in `folder`, and the card and its pictures beside it; return the story.

    Raises:
        DatasetError: the network reads none of the validation images correctly.
    """
    chosen = campaign.choose(outcomes)
    validation = images.validation.floats()
    probabilities = weights.probabilities(OnnxRuntime(runtime.find(chosen.folder).onnx), validation)
    right = np.flatnonzero(probabilities.argmax(1) == images.validation.labels)
    if not len(right):
        raise DatasetError("The network reads none of the validation images correctly: train for more --epochs.")
    surely = probabilities.max(1) >= 1 - probabilities.sum(1)  # more than "none of these"
    all_right = len(right) == len(validation) and bool(surely.all())
    figures = chosen.figures
    doubts = calibration.doubts(figures["temperature"], figures["ece"], len(images.test.labels), all_right=all_right)
    others = [] if story["configuration"]["outlier_kinds"] != "none" else [model_folder.NO_OTHERS]
    story = {**story, "remarks": [*doubts, *others, *absent(images)]}
    with replacement(folder.parent) as model:
        archive, drawn = model / folder.name, model / "model_card"
        archive.mkdir()
        drawn.mkdir()
        told = campaign.publish(chosen, outcomes, story, archive)
        model_folder.write_settings(archive, images.name, read_pictures, on_cpu=True)
        model_folder.write_labels(archive, labels)
        model_folder.write_golden(archive, validation[right[0]], probabilities[right[0]])
        pictures.draw(chosen, outcomes, images, drawn, "images")
        (model / "model_card.md").write_text(data_card.text(told), encoding="utf-8")
    return told
