"""The two weights files that a service loads, each with the story of its training inside."""

import json
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from classifier.network import DigitNetwork
from classifier.runtime import ONNX_FILE, TORCH_FILE
from classifier.types import CLASSES, PIXELS

OPSET = 18


class _Probabilities(nn.Module):
    def __init__(self, network: DigitNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        probabilities: Tensor = self.network(pixels).softmax(dim=1)[:, :CLASSES]
        return probabilities


def write(network: DigitNetwork, metadata: dict[str, Any], folder: Path) -> None:
    """Write the network twice into `folder`: for torch and for ONNX Runtime."""
    # Of what `torch.load(weights_only=True)` reads.
    torch.save({"state_dict": network.state_dict(), "metadata": metadata}, folder / TORCH_FILE)
    _write_onnx(network, metadata, folder / ONNX_FILE)


def read_torch(folder: Path) -> tuple[DigitNetwork, dict[str, Any]]:
    """Return network and metadata from what `write` wrote."""
    saved = torch.load(folder / TORCH_FILE, weights_only=True)
    network = DigitNetwork().eval()
    network.load_state_dict(saved["state_dict"])
    return network, saved["metadata"]


def _write_onnx(network: DigitNetwork, metadata: dict[str, Any], path: Path) -> None:
    """Write one file from `pixels` (B, 784) to `probabilities` (B, 10), `metadata` as JSON under that key."""
    batch = torch.export.Dim("batch")
    program: Any = torch.onnx.export(
        _Probabilities(network).eval(),
        (torch.zeros(2, PIXELS),),
        input_names=["pixels"],
        output_names=["probabilities"],
        dynamic_shapes=({0: batch},),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    model = program.model_proto
    for node in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del node.metadata_props[:]  # the exporter's stack traces, with paths of this machine
    onnx.helper.set_model_props(model, {"metadata": json.dumps(metadata)})
    onnx.checker.check_model(model, full_check=True)
    onnx.save_model(model, path)
