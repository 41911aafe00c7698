"""Measures every figure of the model card on the weights files that are served."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode
from classifier import runtime
from classifier.network import DigitNetwork
from classifier.runtime import OnnxRuntime, TorchRuntime
from classifier.types import PIXELS
from mnist_torchserve.client import weights
from . import augmentation, metrics, unseen
from .dataset import Split

Floats = NDArray[np.float32]
Predict = Callable[[Floats], Floats]  # pixels (N, 784) to probabilities (N, 10)
Figures = dict[str, float]

SEED = 20_240_229  # of everything drawn here; training has its own seeds
NOISES = 10_000
UNSEEN_PER_KIND = 2_500
UNSURE = 0.2  # up to this confidence, a wrong answer counts as withheld

# Rotation in degrees, shift in pixels.
MODERATE = augmentation.Ranges(rotation=20, scale=0.2, shear=0.1, shift=4)


@dataclass(frozen=True)
class Evaluation:
    """Figures by name, and the data of the pictures: the test digits' probabilities, and confidences by kind."""

    figures: Figures
    probabilities: Floats  # (10,000, 10)
    unseen: dict[str, Floats]  # (2,500,) each


def evaluate(model_dir: Path, test: Split) -> Evaluation:
    """Measure the weights in `model_dir` with ONNX Runtime, and compare its answers with torch's.

    Raises `runtime.WeightsError` if they cannot be used.
    """
    files = runtime.find(model_dir)
    onnx = partial(weights.probabilities, OnnxRuntime(files.onnx))
    torch_ = partial(weights.probabilities, TorchRuntime(files.saved, "cpu"))
    evaluation = _evaluate(onnx, test)
    parity = float(np.abs(torch_(test.floats()) - evaluation.probabilities).max())
    return replace(
        evaluation, figures={**evaluation.figures, "parity": parity, **size(evaluation.probabilities.shape[1])}
    )


def size(classes: int = 10) -> Figures:
    """Return parameters and multiply-accumulates of the network of K classes, for one image."""
    network = DigitNetwork(classes).eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, PIXELS))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"parameters": parameters, "macs": counter.get_total_flops() / 2}


def _evaluate(predict: Predict, test: Split) -> Evaluation:
    pixels, labels = test.floats(), test.labels
    probabilities = predict(pixels)
    digits = probabilities.max(1)
    constants = predict(constant_images()).max(1)
    noise = np.random.default_rng(SEED).random((min(NOISES, 10 * len(labels)), PIXELS), dtype=np.float32)
    inverted = predict(1 - pixels)
    right_or_unsure = (inverted.argmax(1) == labels) | (inverted.max(1) <= UNSURE)
    figures = {
        "accuracy": metrics.accuracy(probabilities, labels),
        "nll": metrics.nll(probabilities, labels),
        "brier": metrics.brier(probabilities, labels),
        "ece": metrics.ece(probabilities, labels),
        "confidence_digits": float(digits.mean()),
        "confidence_zeros": float(constants[0]),
        "confidence_ones": float(constants[255]),
        "confidence_constants": float(constants.max()),
        "confidence_noise": float(predict(noise).max()),
        "inverted": float(right_or_unsure.mean()),
        "inverted_accuracy": metrics.accuracy(inverted, labels),
        "distorted": metrics.accuracy(predict(distorted(pixels)), labels),
    }
    by_kind = {kind: predict(images).max(1) for kind, images in unseen_images(pixels).items()}
    for kind, others in {"unseen": np.concatenate(list(by_kind.values())), **by_kind}.items():
        figures[f"{kind}_auroc"] = metrics.auroc(digits, others)
        figures[f"{kind}_fpr95"] = metrics.false_positive_rate(digits, others)
        figures[f"{kind}_confidence"] = float(others.mean())
    return Evaluation(figures, probabilities, by_kind)


def constant_images() -> Floats:
    """Return one image of every grey level, (256, 784)."""
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    return np.repeat(levels[:, None], PIXELS, axis=1)


def distorted(pixels: Floats) -> Floats:
    """Move every digit once, at random within `MODERATE`."""
    generator = torch.Generator().manual_seed(SEED)
    return augmentation.distort(torch.from_numpy(pixels), MODERATE, generator).numpy()


def unseen_images(digits: Floats) -> dict[str, Floats]:
    """Return images of every kind that no training saw, by kind. For a test set (N, 784), at most N of each."""
    rng = np.random.default_rng(SEED)
    return {name: kind(rng, min(UNSEEN_PER_KIND, len(digits)), digits) for name, kind in unseen.KINDS.items()}
