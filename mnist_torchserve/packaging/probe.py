"""What a network takes and gives, found by trying it on images."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any, Literal, NamedTuple

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
    remark: str = ""  # on its output
    unanswered: bool = False  # whether it fails, or gives numbers that are not finite, for an image of one grey value

    def __str__(self) -> str:
        taken = " or ".join(f"(B, {', '.join(map(str, shape))})" for shape in self.shapes)
        first = ", the first of several outputs" if self.in_tuple else ""
        alone = ", and needs one image at a time" if self.one_by_one else ""
        none = ", but no answer to some images of one grey value" if self.unanswered else ""
        return f"takes {taken}, gives {self.meaning} of {self.classes} classes{self.remark}{first}{alone}{none}"


def find(
    network: Network,
    pixels: Pixels,
    greys: Pixels,
    shape: tuple[int, ...] | None = None,
    meaning: Meaning | None = None,
) -> Findings:
    """Try a network on images.

    Args:
        network: to be tried.
        pixels: images (n, 784), as it expects their values.
        greys: the same of images (m, 784) that have one grey value each, to which it need not have an answer.
        shape: that it is said to take.
        meaning: that its output is said to have.

    Raises:
        PackagingError: no shape works, several work and give other answers, the answers are none, or it fails for one
            image alone.
    """
    outputs: dict[tuple[int, ...], Floats] = {}
    problems: list[tuple[tuple[int, ...], Exception]] = []
    in_tuple = False
    for each in (shape,) if shape else SHAPES:
        try:
            found = network(pixels.reshape(-1, *each))
            in_tuple = isinstance(found, tuple | list)
            outputs[each] = _checked(found[0] if in_tuple else found, len(pixels))
        except Exception as error:  # whatever a network raises at a shape that it does not take
            problems.append((each, error))
    if not outputs:
        raise _unusable(problems)
    chosen, first = next(iter(outputs.items()))

    def ask(some: Pixels) -> Floats:
        found = network(some.reshape(-1, *chosen))
        return np.asarray(found[0] if in_tuple else found).reshape(len(some), -1)

    if not np.allclose(ask(pixels), first, atol=TOLERANCE):
        raise PackagingError(
            "The network answers the same images differently each time: dropout or noise is active in evaluation mode. "
            "F.dropout needs `training=self.training`."
        )
    _, *others = outputs.values()
    if any(other.shape != first.shape or not np.allclose(other, first, atol=TOLERANCE) for other in others):
        raise PackagingError(
            f"The network takes images as {', '.join(map(_option, outputs))}, and answers each differently: choose "
            "one with --input-shape."
        )
    alone = _alone(ask, pixels)
    kept = greys[[not _raises(ask, grey) for grey in greys]]
    greys_alone = np.concatenate([alone[:0], *(ask(grey[np.newaxis]) for grey in kept)])
    batches = [(np.concatenate([pixels, kept]), np.concatenate([alone, greys_alone]))]
    # Some networks compare an image with the others.
    pairs = map(list, combinations_with_replacement(range(len(kept)), 2))
    batches += [(kept[pair], greys_alone[pair]) for pair in pairs]
    one_by_one = not all(
        np.allclose(ask(images), each, atol=TOLERANCE, rtol=1e-3, equal_nan=True) for images, each in batches
    )
    remark = _checked_meaning(alone, meaning) if meaning else ""
    found = meaning or _meaning(alone)
    unanswered = len(kept) < len(greys) or not _has_meaning(greys_alone)
    return Findings(list(outputs), first.shape[1], found, in_tuple, one_by_one, remark, unanswered)


class _OutputError(Exception):
    """A network takes images of a shape, but what it gives of them cannot be used."""


def _checked(output: Any, images: int) -> Floats:
    if not hasattr(output, "__array__"):
        held = f" with {', '.join(map(str, output))}" if isinstance(output, Mapping) else ""
        raise _OutputError(f"gives a {type(output).__name__}{held}: let its forward return the tensor (B, K) alone")
    values = np.asarray(output)
    if values.ndim != 2 or len(values) != images:
        raise _OutputError(
            f"gives the shape {values.shape} for {images} images: let its forward return a value for each class, (B, K)"
        )
    if values.shape[1] == 1:
        raise _OutputError(
            "gives one value for an image: let it give a value for each of two classes, such as the logits "
            "torch.cat([-x, x], dim=1) / 2"
        )
    if values.shape[1] > MAX_CLASSES:
        raise _OutputError(f"gives {values.shape[1]} values for an image, which is too many classes")
    if not _has_meaning(values):
        raise _OutputError("gives values that are not finite")
    return values


def _unusable(problems: Sequence[tuple[tuple[int, ...], Exception]]) -> PackagingError:
    """Say what is wrong with the output if there was one, or else with the usual input."""
    outputs = [(shape, error) for shape, error in problems if isinstance(error, _OutputError)]
    shape, error = [*outputs, *problems][0]
    images = f"(B, {', '.join(map(str, shape))})"
    wanted = f"Expected a network that turns grey 28×28 images into values (B, K) of 2 to {MAX_CLASSES} classes"
    if outputs:
        return PackagingError(f"{wanted}. It takes {images} and {error}.")
    advice = (
        "If it is made for other images, such as coloured or 32×32 ones, write a class whose forward turns the grey "
        "ones into those and passes them on."
    )
    if "dtype" in str(error):
        advice = (
            "The service computes in float32: leave out of the class what makes it another type, as `.double()` does."
        )
    return PackagingError(
        f"{wanted}. It may take (B, 1, 28, 28), (B, 28, 28) or (B, 784). With {images}, yours fails: "
        f"{one_line(error)}. {advice}"
    )


def _has_meaning(values: Floats) -> bool:
    """Whether their softmax is one: a class may have -inf, which no image shows."""
    return not (np.isnan(values) | np.isposinf(values)).any()


def _alone(ask: Callable[[Pixels], Floats], images: Pixels) -> Floats:
    """What a network says of each image alone; PackagingError if it fails."""
    try:
        return np.concatenate([ask(images[index : index + 1]) for index in range(len(images))])
    except Exception as error:  # whatever a network raises
        of_batches = "more than 1 value per channel" in str(error)
        raise PackagingError(
            f"The network takes several images, but not every image alone, as the service must: {one_line(error)}."
            + " Batch normalization needs `track_running_stats=True`." * of_batches
        ) from None


def _raises(ask: Callable[[Pixels], Floats], image: Pixels) -> bool:
    try:
        ask(image[np.newaxis])
    except Exception:  # whatever a network raises
        return True
    return False


def _meaning(values: Floats) -> Meaning:
    """What values (B, K) are."""
    looks = _looks(values)
    if looks == "sigmoids":
        raise PackagingError(
            "The network gives values from 0 to 1 that do not sum to 1, as sigmoids do. These are not probabilities of "
            "one class among several. If they are logits after all, add --output logits."
        )
    return looks


def _looks(values: Floats) -> Meaning | Literal["sigmoids"]:
    """What values (B, K) look like: their sums tell."""
    if values.min() >= 0 and np.allclose(values.sum(1), 1, atol=1e-3):
        return "probabilities"
    if _could_be(values, "log-probabilities"):
        return "log-probabilities"
    return "sigmoids" if values.min() >= 0 and values.max() <= 1 else "logits"


def _could_be(values: Floats, meaning: Meaning) -> bool:
    if meaning == "probabilities":  # what is left to 1 is of none of the classes
        return bool(values.min() >= 0 and values.sum(1).max() <= 1 + 1e-3)
    return meaning == "logits" or bool(values.max() <= 1e-6 and np.allclose(np.exp(values).sum(1), 1, atol=1e-3))


def _checked_meaning(values: Floats, said: Meaning) -> str:
    """A remark on values (B, K) that may be what is said of them; PackagingError if they cannot."""
    if not _could_be(values, said):
        sums = values.sum(1)
        found = (
            f"values from {values.min():.3g} to {values.max():.3g}, which sum to {sums.min():.3g} to {sums.max():.3g}"
        )
        raise PackagingError(
            f"--output {said} does not fit: the network gives {found}. These look like {_looks(values)}: leave "
            "--output out."
        )
    if said == "logits" and _looks(values) == "probabilities":
        return ", though they sum to 1 as probabilities do"
    return ""


def _option(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
