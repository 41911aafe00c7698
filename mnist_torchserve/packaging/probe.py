"""What a network takes and gives, found by trying it on images."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from classifier.adapter import Meaning
from classifier.types import MAX_CLASSES, Pixels
from .errors import PackagingError, one_line

SHAPES = ((1, 28, 28), (28, 28), (784,))  # of one image, the usual one first
TOLERANCE = 1e-4  # between two answers that should be the same

Floats = NDArray[np.floating[Any]]
Network = Callable[[Pixels], Any]  # images (B, *shape) to an array (B, K), or several


class Findings(NamedTuple):
    """What a network takes and gives."""

    shapes: Sequence[tuple[int, ...]]  # those that it takes, with the same answers
    classes: int  # K
    meaning: Meaning
    in_tuple: bool
    one_by_one: bool  # whether an image's answer depends on the others in its batch

    def __str__(self) -> str:
        taken = " or ".join(f"(B, {', '.join(map(str, shape))})" for shape in self.shapes)
        first = ", the first of several outputs" if self.in_tuple else ""
        alone = ", and wants one image at a time" if self.one_by_one else ""
        return f"takes {taken}, gives {self.meaning} of {self.classes} classes{first}{alone}"


def find(
    network: Network, pixels: Pixels, shape: tuple[int, ...] | None = None, meaning: Meaning | None = None
) -> Findings:
    """Try a network on images.

    Args:
        network: to be tried.
        pixels: images (n, 784), as it expects their values.
        shape: that it is said to take.
        meaning: that its output is said to have.

    Raises:
        PackagingError: no shape works, several work and give other answers, or the answers are none.
    """
    outputs: dict[tuple[int, ...], Floats] = {}
    problems = []
    in_tuple = False
    for each in (shape,) if shape else SHAPES:
        try:
            found = network(pixels.reshape(-1, *each))
            in_tuple = isinstance(found, tuple | list)
            outputs[each] = _checked(found[0] if in_tuple else found, len(pixels))
        except Exception as error:  # whatever a network raises at a shape that it does not take
            problems.append(f"with (B, {', '.join(map(str, each))}): {one_line(error)}")
    if not outputs:
        raise PackagingError(
            f"Expected a network from images (B, 784), (B, 28, 28) or (B, 1, 28, 28) to values (B, K) of 2 to "
            f"{MAX_CLASSES} classes, got {'; '.join(problems)}."
        )
    first, *others = outputs.values()
    if any(other.shape != first.shape or not np.allclose(other, first, atol=TOLERANCE) for other in others):
        raise PackagingError(
            f"The network takes images as {', '.join(map(_option, outputs))}, with other answers for each: say which "
            "is meant with --input-shape."
        )
    chosen = next(iter(outputs))
    alone = _alone(network, pixels.reshape(-1, *chosen), first, in_tuple)
    one_by_one = not np.allclose(alone, first, atol=TOLERANCE, rtol=1e-3)
    return Findings(list(outputs), first.shape[1], meaning or _meaning(alone), in_tuple, one_by_one)


def _checked(output: Any, images: int) -> Floats:
    values = np.asarray(output)
    if values.ndim != 2 or len(values) != images or not 2 <= values.shape[1] <= MAX_CLASSES:
        raise PackagingError(f"it gives the shape {values.shape} for {images} images")
    if not np.isfinite(values).all():
        raise PackagingError("it gives values that are not finite")
    return values


def _alone(network: Network, images: Pixels, expected: Floats, in_tuple: bool) -> Floats:
    """What a network says of each image alone; PackagingError if it says something else when it is asked again."""

    def ask(some: Pixels) -> Floats:
        found = network(some)
        return np.asarray(found[0] if in_tuple else found).reshape(len(some), -1)

    if not np.allclose(ask(images), expected, atol=TOLERANCE):
        raise PackagingError(
            "The network answers differently when it is asked again: dropout or noise is on in evaluation mode, too. "
            "F.dropout wants `training=self.training`."
        )
    return np.concatenate([ask(images[index : index + 1]) for index in range(len(images))])


def _meaning(values: Floats) -> Meaning:
    """What values (B, K) are: their sums tell."""
    if np.allclose(values.sum(1), 1, atol=1e-3) and values.min() >= 0:
        return "probabilities"
    if values.max() <= 1e-6 and np.allclose(np.exp(values).sum(1), 1, atol=1e-3):
        return "log-probabilities"
    if values.min() >= 0 and values.max() <= 1:
        raise PackagingError(
            "The network gives values from 0 to 1 that do not sum to 1, as sigmoids do: these are no probabilities of "
            "one class among several. If they are logits all the same, say so with --output logits."
        )
    return "logits"


def _option(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
