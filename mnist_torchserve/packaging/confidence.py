"""The temperature under which a network's confidence fits what it gets right, and how well it fits before and after."""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from classifier.types import Probabilities
from mnist_torchserve.training import metrics

TEMPERATURES = np.geomspace(0.1, 10, 801)
TRY = (
    "for pixels from 0 to 255 try --normalize 0 0.00392157, for dark ink on light paper --dark-on-light, and otherwise "
    "--normalize with the mean and standard deviation of its training"
)
SAME = 0.05  # between the probabilities of a class
_LEAST = 1e-38  # of a probability, in float32


class Fit(TypedDict):
    """How well probabilities fit."""

    nll: float
    ece: float


class Calibration(TypedDict):
    """What a calibration found."""

    temperature: float
    images: int
    accuracy: float
    before: Fit
    after: Fit
    doubts: list[str]  # sentences


def calibrate(probabilities: Probabilities, labels: NDArray[np.uint8]) -> Calibration:
    """Fit a temperature to probabilities (N, K) and what the images show (N,).

    Guo et al., "On calibration of modern neural networks", 1706.04599.
    """
    logits = np.log(np.maximum(probabilities, _LEAST), dtype=np.float64)
    candidates = (scaled(logits, temperature) for temperature in TEMPERATURES)
    losses = [metrics.nll(candidate, labels) for candidate in candidates]
    temperature = float(TEMPERATURES[int(np.argmin(losses))])
    accuracy = metrics.accuracy(probabilities, labels)
    return {
        "temperature": temperature,
        "images": len(labels),
        "accuracy": accuracy,
        "before": _fit(scaled(logits, 1), labels),
        "after": _fit(scaled(logits, temperature), labels),
        "doubts": _doubts(accuracy, temperature, labels),
    }


def scaled(logits: NDArray[np.float64], temperature: float) -> Probabilities:
    """The softmax of logits (N, K) that are divided by a temperature."""
    powers = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    probabilities: Probabilities = np.maximum(powers / powers.sum(1, keepdims=True), _LEAST).astype(np.float32)
    return probabilities


def doubt(probabilities: Probabilities) -> str | None:
    """A sentence where probabilities (N, K) of real digits are nearly all the same."""
    if np.ptp(probabilities, axis=0).max() > SAME:
        return None
    return (
        f"It gives nearly the same answer to all of {len(probabilities)} real digits. It gets pixels from 0 to 1, "
        f"light on dark, and may have been trained on other pixels: {TRY}."
    )


def _doubts(accuracy: float, temperature: float, labels: NDArray[np.uint8]) -> list[str]:
    doubts = []
    chance = np.bincount(labels).max() / len(labels)  # always naming the most frequent class
    margin = 2 * np.sqrt(chance * (1 - chance) / len(labels))
    if accuracy <= chance + margin:
        doubts.append(
            f"It reads {accuracy:.2%} of these images correctly, which is no better than chance. Check that images "
            f"and labels are like those it was trained on. For transposed images try --transpose, {TRY}."
        )
        advice = ""
    elif accuracy == 1:
        advice = " It reads all of these images correctly. More or harder images would show how sure it should be."
    else:
        advice = f" Check the labels of these images and --output; {TRY}."
    if temperature in (TEMPERATURES[0], TEMPERATURES[-1]):
        doubts.append(
            f"The temperature {temperature:.3g} is at its bound, so the confidence is not calibrated.{advice}"
        )
    return doubts


def _fit(probabilities: Probabilities, labels: NDArray[np.uint8]) -> Fit:
    return {"nll": metrics.nll(probabilities, labels), "ece": metrics.ece(probabilities, labels)}
