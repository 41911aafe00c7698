"""Runs any classifier on our pixels to get our probabilities: which input it takes, and what its output means."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

Meaning = Literal["logits", "log-probabilities", "probabilities"]


@dataclass(frozen=True)
class Interface:
    """What a network takes and returns."""

    shape: tuple[int, ...]  # of one image: (784,), (28, 28) or (1, 28, 28)
    meaning: Meaning
    in_tuple: bool = False  # whether the output is the first of several
    mean: float = 0.0  # of the pixels, as the network was trained: (pixel - mean) / std
    std: float = 1.0
    one_by_one: bool = False  # whether an image's answer depends on the others in its batch
    inverted: bool = False  # whether the network was trained on dark ink on light paper, 1 - pixel
    temperature: float = 1.0  # by which logits are divided


class Adapter(nn.Module):
    """From pixels (B, 784) in 0..1 to probabilities (B, K).

    Args:
        network: takes (B, *shape) and returns (B, K), or a tuple that begins with it.
        interface: what the network takes and returns.
    """

    def __init__(self, network: nn.Module, interface: Interface) -> None:
        super().__init__()
        self.network = network
        self.interface = interface

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 784) to probabilities (B, K)."""
        interface = self.interface
        images = 1 - pixels if interface.inverted else pixels.clone()  # some networks work in place
        if (interface.mean, interface.std) != (0, 1):
            images = (images - interface.mean) / interface.std
        images = images.reshape(-1, *interface.shape)
        if interface.one_by_one:
            output = torch.cat([self._output(image[None]) for image in images])
        else:
            output = self._output(images)
        if interface.meaning == "probabilities":
            if interface.temperature == 1:
                return output
            output = output.clamp_min(1e-30).log()
        # The softmax of log-probabilities is the probabilities.
        return (output / interface.temperature).softmax(dim=1)

    def _output(self, images: Tensor) -> Tensor:
        """Images (B, *shape) to the network's own output (B, K)."""
        found: Tensor | Sequence[Any] = self.network(images)
        output: Tensor = found[0] if self.interface.in_tuple else found  # type: ignore[assignment]  # probed
        return output.reshape(images.shape[0], -1)  # some networks drop the first dimension if it is 1
