"""The temperature under which a network's confidence fits what it gets right, and how well it fits before and after."""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from classifier.types import Probabilities
from mnist_torchserve.training import metrics

TEMPERATURES = np.geomspace(0.1, 10, 801)
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


def calibrate(probabilities: Probabilities, labels: NDArray[np.uint8]) -> Calibration:
    """Fit a temperature to probabilities (N, K) and what the images show (N,).

    Guo et al., "On calibration of modern neural networks", 1706.04599.
    """
    logits = np.log(np.maximum(probabilities, _LEAST), dtype=np.float64)
    candidates = (scaled(logits, temperature) for temperature in TEMPERATURES)
    losses = [metrics.nll(candidate, labels) for candidate in candidates]
    temperature = float(TEMPERATURES[int(np.argmin(losses))])
    return {
        "temperature": temperature,
        "images": len(labels),
        "accuracy": metrics.accuracy(probabilities, labels),
        "before": _fit(scaled(logits, 1), labels),
        "after": _fit(scaled(logits, temperature), labels),
    }


def scaled(logits: NDArray[np.float64], temperature: float) -> Probabilities:
    """The softmax of logits (N, K) that are divided by a temperature."""
    powers = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    probabilities: Probabilities = np.maximum(powers / powers.sum(1, keepdims=True), _LEAST).astype(np.float32)
    return probabilities


def _fit(probabilities: Probabilities, labels: NDArray[np.uint8]) -> Fit:
    return {"nll": metrics.nll(probabilities, labels), "ece": metrics.ece(probabilities, labels)}
