"""A user's validation images, on which the confidence of a network is calibrated."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from classifier.types import Pixels, Probabilities
from mnist_torchserve.training import idx
from . import confidence
from .confidence import Calibration
from .errors import PackagingError

_BATCH = 500  # images at a time
_OF_TEST = (
    "These are the folder's test images, so figures measured on them later look better than they are. To calibrate on "
    "other images, put those into validation-images-idx3-ubyte and validation-labels-idx1-ubyte."
)

Tell = Callable[[str], None]
Answer = Callable[[Pixels], Probabilities]


def calibrate(
    folder: Path, classes: int, answer: Answer, tell: Tell, *, transpose: bool = False
) -> tuple[Calibration, Pixels]:
    """Calibrate a network on a folder of IDX files.

    Args:
        folder: holds validation images, or else test images.
        classes: K.
        answer: images (n, 784) to probabilities (n, K).
        tell: takes a sentence of what was found, and of what may be wrong.
        transpose: whether to swap rows and columns.

    Returns:
        What was found, and an image (784,) that the network reads correctly.

    Raises:
        PackagingError: it reads none of them correctly.
        DatasetError: the files cannot be used.
    """
    split = idx.read(folder, "validation", transpose=transpose)
    of_test = _is_of_test(split, folder, transpose=transpose)
    [split], _ = idx.from_zero([split], classes)
    pixels = split.floats()
    probabilities = np.concatenate([answer(pixels[at : at + _BATCH]) for at in range(0, len(pixels), _BATCH)])
    right = np.flatnonzero(probabilities.argmax(1) == split.labels)
    if not len(right):
        raise PackagingError("The network reads none of the validation images correctly: are the classes the same?")
    found = confidence.calibrate(probabilities, split.labels)
    if of_test:
        found["doubts"].append(_OF_TEST)
    before, after = found["before"], found["after"]
    tell(
        f"Calibrated on {found['images']:,} images: accuracy {found['accuracy']:.2%}, temperature "
        f"{found['temperature']:.3f}, NLL {before['nll']:.4f} before and {after['nll']:.4f} after, ECE "
        f"{before['ece']:.2%} before and {after['ece']:.2%} after."
    )
    for doubt in found["doubts"]:
        tell(doubt)
    return found, pixels[right[0]]


def _is_of_test(split: idx.Split, folder: Path, *, transpose: bool) -> bool:
    """Whether these are the folder's test images as well."""
    with suppress(idx.DatasetError):
        return np.array_equal(idx.read(folder, "test", transpose=transpose).pixels, split.pixels)
    return False
