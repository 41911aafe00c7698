"""A network of torch's as ONNX and as torch's own program, and whether these answer as the network does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from classifier.adapter import Adapter
from classifier.runtime import Files, OnnxRuntime, TorchRuntime
from classifier.types import PIXELS, Pixels, Probabilities
from mnist_torchserve.training import export
from .errors import PackagingError

BATCHES = (1, 2, 16)
TOLERANCE = 1e-4  # of a probability


class ExportError(Exception):
    """The network cannot be written as ONNX; the message says why, in a line."""


def write(adapter: Adapter, metadata: dict[str, Any], files: Files) -> None:
    """Write a network, with its adapter, as ONNX for a CPU and as torch's program for a GPU.

    Raises:
        ExportError: it is not made of what these have.
    """
    if adapter.interface.one_by_one:
        raise ExportError("its answer to an image depends on the others in a batch")
    reason = ""
    # Each can export what the other cannot: attributes that are set on the way, or the number of images as a number.
    for network, strict in ((_Stateless(adapter), False), (adapter, True)):
        try:
            program = export.export(network, strict=strict)
            export.write_program(program, metadata, files.exported)
            return export.write_onnx(program, metadata, files.onnx)
        except Exception as error:  # torch's exporter has no common base for what it cannot export
            if isinstance(error, OSError) and error.errno:  # the folder cannot be written
                raise
            reason = reason or _reason(error)
    files.exported.unlink(missing_ok=True)
    raise ExportError(reason)


def answers(adapter: nn.Module, pixels: Pixels) -> Probabilities:
    """What the network itself says of images (n, 784)."""
    with torch.inference_mode():
        found: Probabilities = adapter(torch.from_numpy(pixels)).numpy()
    return found


def compare(expected: Probabilities, answer: Callable[[Pixels], Probabilities], pixels: Pixels) -> float:
    """Compare what is answered of images (n, 784), in batches of several sizes, with what is right; the difference.

    Raises:
        PackagingError: it is too large.
    """
    largest = 0.0
    for size in BATCHES:
        for start in range(0, len(pixels) - size + 1, size):
            rows = slice(start, start + size)
            largest = max(largest, float(np.abs(answer(pixels[rows]) - expected[rows]).max()))
    if not largest <= TOLERANCE:
        raise PackagingError(
            "The exported network gives different probabilities than the network itself: one differs by "
            f"{largest:.2g}, and at most {TOLERANCE:g} is allowed."
        )
    return largest


def check(files: Files, expected: Probabilities, pixels: Pixels) -> float:
    """Compare both files that `write` wrote."""
    runtimes = OnnxRuntime(files.onnx), TorchRuntime(files.exported, "cpu")
    return max(compare(expected, runtime.probabilities, pixels) for runtime in runtimes)


class _Stateless(nn.Module):
    """A module that forgets what its forward pass keeps as attributes, which an export would refuse."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, pixels: Tensor) -> Tensor:
        kept = [(each, dict(vars(each))) for each in self.module.modules()]
        try:
            result: Tensor = self.module(pixels)
        finally:
            for each, attributes in kept:
                vars(each).clear()
                vars(each).update(attributes)
        return result


def _reason(error: BaseException) -> str:
    """Why an export failed: the first cause, without the exporter's advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def random_images(count: int) -> Pixels:
    """Images (count, 784) of noise, always the same, of three decimals."""
    return np.random.default_rng(0).random((count, PIXELS)).round(3).astype(np.float32)
