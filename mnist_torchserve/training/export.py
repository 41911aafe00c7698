"""Writes the files of weights that a service loads, each with the record of its making inside."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn
from torch.export import ExportedProgram
from classifier import runtime, torch_network
from classifier.network import DigitNetwork
from classifier.types import PIXELS

OPSET = 18


def write(network: DigitNetwork, metadata: dict[str, Any], folder: Path) -> None:
    """Write the network into `folder`, under the name in `metadata`: once for torch and once for ONNX Runtime."""
    # Only types that `torch.load(weights_only=True)` reads.
    save({"state_dict": network.state_dict(), "metadata": metadata}, folder / f"{metadata['name']}.pt")
    write_onnx(export(torch_network.Probabilities(network)), metadata, folder / f"{metadata['name']}.onnx")


def save(content: dict[str, Any], path: Path) -> None:
    """Write what `torch.load(weights_only=True)` reads; raises OSError where torch would say nothing of a full disk."""
    file = io.BytesIO()
    torch.save(content, file)
    _write(file, path)


def read_torch(folder: Path) -> tuple[DigitNetwork, dict[str, Any]]:
    """Return the network and metadata that `write` wrote."""
    saved = torch.load(runtime.find(folder).saved, weights_only=True)
    return torch_network.digit_network(saved["state_dict"], saved["metadata"]).eval(), saved["metadata"]


def export(network: nn.Module, *, strict: bool = False) -> ExportedProgram:
    """Return a network, from pixels (B, 784) to probabilities (B, K), as a program that needs none of its code.

    With `strict`, torch compiles the network's code instead of following one run of it. Errors of torch's exporter are
    not caught.
    """
    images = (torch.zeros(2, PIXELS),)
    batch = {0: torch.export.Dim("batch")}
    with _quiet():
        program = torch.export.export(network.eval(), images, dynamic_shapes=(batch,), strict=strict)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # with this machine's paths
        if node.target is torch.ops.aten.view.default:  # a GPU's attention lays out its result otherwise
            node.target = torch.ops.aten.reshape.default
    return program


def write_program(program: ExportedProgram, metadata: dict[str, Any], path: Path) -> None:
    """Write what `export` returned for torch, `metadata` as JSON beside it."""
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={"metadata": json.dumps(metadata)})
    _write(file, path)


def write_onnx(program: ExportedProgram, metadata: dict[str, Any], path: Path) -> None:
    """Write what `export` returned as ONNX, from `pixels` to `probabilities`, `metadata` as JSON under that key.

    Errors of torch's exporter are not caught.
    """
    with _quiet():
        written: Any = torch.onnx.export(
            program,
            input_names=["pixels"],
            output_names=["probabilities"],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    model = written.model_proto
    for node in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del node.metadata_props[:]  # stack traces of the exporter, with this machine's paths
    save_onnx(model, metadata, path)


def save_onnx(model: onnx.ModelProto, metadata: dict[str, Any], path: Path) -> None:
    """Check an ONNX model and write it, with its metadata."""
    onnx.helper.set_model_props(model, {"metadata": json.dumps(metadata)})
    onnx.checker.check_model(model, full_check=True)
    onnx.save_model(model, path)


def _write(file: io.BytesIO, path: Path) -> None:
    try:
        path.write_bytes(file.getbuffer())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Within, torch's exporter says nothing: of what goes wrong, its error tells."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
