"""How well a network's confidence fits what it gets right, before and after calibration, and what speaks against it."""

from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from classifier.types import Probabilities
from mnist_torchserve.training import calibration, metrics

_TRY = (
    "for pixels from 0 to 255 try --normalize 0 0.00392157, for dark ink on light paper --dark-on-light, and otherwise "
    "--normalize with the mean and standard deviation of its training"
)
_SAME = 0.05  # between the probabilities of a class


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
    """Fit a temperature to probabilities (N, K) and what the images show (N,)."""
    logits = torch.from_numpy(probabilities).clamp_min(torch.finfo(torch.float32).tiny).double().log()
    temperature = calibration.temperature(logits, torch.from_numpy(labels).long())
    before, after = ((logits / each).softmax(1).float().numpy() for each in (1, temperature))
    accuracy = metrics.accuracy(probabilities, labels)
    return {
        "temperature": temperature,
        "images": len(labels),
        "accuracy": accuracy,
        "before": _fit(before, labels),
        "after": _fit(after, labels),
        "doubts": _doubts(accuracy, temperature, labels),
    }


def doubt(probabilities: Probabilities) -> str | None:
    """A sentence where probabilities (N, K) of real digits are nearly all the same."""
    if np.ptp(probabilities, axis=0).max() > _SAME:
        return None
    return (
        f"It gives nearly the same answer to all of {len(probabilities)} real digits. It gets pixels from 0 to 1, "
        f"light on dark, and may have been trained on other pixels: {_TRY}."
    )


def _doubts(accuracy: float, temperature: float, labels: NDArray[np.uint8]) -> list[str]:
    doubts = []
    chance = np.bincount(labels).max() / len(labels)  # always naming the most frequent class
    margin = 2 * np.sqrt(chance * (1 - chance) / len(labels))
    if accuracy <= chance + margin:
        doubts.append(
            f"It reads {accuracy:.2%} of these images correctly, which is no better than chance. Check that images "
            f"and labels are like those it was trained on. For transposed images try --transpose, {_TRY}."
        )
        advice = ""
    elif accuracy == 1:
        advice = " More or harder images would show how sure it should be."
    else:
        advice = f" Check the labels of these images and --output; {_TRY}."
    if why := calibration.unfitted(temperature, all_right=accuracy == 1):
        doubts.append(f"{why[0].upper()}{why[1:]}.{advice}")
    return doubts


def _fit(probabilities: Probabilities, labels: NDArray[np.uint8]) -> Fit:
    return {"nll": metrics.nll(probabilities, labels), "ece": metrics.ece(probabilities, labels)}
