"""Measures of probabilities: proper scores, calibration, and how well they separate digits from other images."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

BINS = 15


def accuracy(probabilities: Floats, labels: NDArray[np.uint8]) -> float:
    """Share of rows of `probabilities` (N, K) whose largest column is that of the label."""
    return float((probabilities.argmax(1) == labels).mean())


def nll(probabilities: Floats, labels: NDArray[np.uint8]) -> float:
    """Mean negative logarithm, in nats, of the probability given to the label, which float32 may have rounded to 0."""
    given = np.maximum(probabilities[np.arange(len(labels)), labels], np.finfo(np.float32).tiny)
    return float(-np.log(given, dtype=np.float64).mean())


def brier(probabilities: Floats, labels: NDArray[np.uint8]) -> float:
    """Mean over rows of the squared error summed over the classes (Brier, 1950)."""
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(1).mean())


def reliability(probabilities: Floats, labels: NDArray[np.uint8]) -> tuple[Doubles, Doubles, NDArray[np.int_]]:
    """Mean confidence, accuracy and count in each of 15 bins of equal width. NaN if a bin is empty."""
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        return np.bincount(bins, confidence, BINS) / counts, np.bincount(bins, right, BINS) / counts, counts


def ece(probabilities: Floats, labels: NDArray[np.uint8]) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over bins (Guo et al., 1706.04599)."""
    confidence, right, counts = reliability(probabilities, labels)
    return float(np.nansum(np.abs(confidence - right) * counts) / counts.sum())


def auroc(digits: Floats, others: Floats) -> float:
    """Probability that the confidence of a digit is above that of another image. Ties count half."""
    ordered = np.sort(others)
    below, up_to = np.searchsorted(ordered, digits, "left"), np.searchsorted(ordered, digits, "right")
    return float((below + up_to).mean() / 2 / len(others))


def false_positive_rate(digits: Floats, others: Floats) -> float:
    """Share of other images that are as confident as the surest 95% of the digits."""
    return float((others >= np.quantile(digits, 1 - 0.95)).mean())
