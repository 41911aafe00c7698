"""A weights file for torch: an exported program, this project's own network, or one whose code is in the archive."""

import importlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.passes import move_to_device_pass
from .adapter import Adapter, Interface
from .network import DigitNetwork


class Probabilities(nn.Module):
    """A digit network's answer as probabilities of its classes, without that of no class."""

    def __init__(self, network: DigitNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 784) to probabilities (B, K)."""
        probabilities: Tensor = self.network(pixels).softmax(dim=1)[:, :-1]
        return probabilities


def load(path: Path, device: str) -> tuple[nn.Module, dict[str, Any]]:
    """Read a file. Return its network on a device, from pixels (B, 784) to probabilities (B, K), and its metadata.

    Errors of torch, of the network's own code, or of the file's shape are not caught.
    """
    if path.suffix == ".pt2":
        notes = {"metadata": ""}
        program = torch.export.load(path, extra_files=notes)
        return move_to_device_pass(program, device).module(), json.loads(notes["metadata"])
    network, metadata = _load_state_dict(path)
    return network.eval().to(device), metadata


def _load_state_dict(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    saved = torch.load(path, map_location="cpu", weights_only=True)
    state, metadata = saved["state_dict"], saved["metadata"]
    if "imported" in metadata:
        imported = metadata["imported"]
        kind = getattr(importlib.import_module(imported["module"]), imported["class"])
        network: nn.Module = kind(**imported["arguments"])
        network = network.float()
        network.load_state_dict(state)
        return Adapter(network, Interface(**imported["interface"])), metadata
    return Probabilities(digit_network(state, metadata)), metadata


def digit_network(state: dict[str, Any], metadata: dict[str, Any]) -> DigitNetwork:
    """Return this project's own network with these weights, with the configuration in their metadata."""
    either_polarity = metadata.get("configuration", {}).get("either_polarity", True)
    network = DigitNetwork(len(state["classifier.bias"]) - 1, either_polarity)
    network.load_state_dict(state)
    return network


def is_imported(path: Path) -> bool:
    """Whether the file's network has its own code in the archive. False if the file cannot be read."""
    try:
        return "imported" in torch.load(path, map_location="cpu", weights_only=True)["metadata"]
    except Exception:  # a broken pickle can raise any error
        return False
