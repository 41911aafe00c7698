"""All the steps from a user's network to the folder that an archive is built from."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from classifier.adapter import Adapter, Interface, Meaning
from classifier.runtime import Files, OnnxRuntime
from classifier.types import PIXELS, Pixels
from mnist_torchserve.client import digits
from mnist_torchserve.replacement import replacement
from mnist_torchserve.training import export as onnx_file
from . import checkpoint, confidence, export, model_folder, probe, under_torch, validation
from .confidence import Calibration
from .errors import PackagingError
from .foreign_onnx import ForeignOnnx
from .probe import Findings, Network
from .source import Source, construct
from .validation import Tell

_IMAGES = 32  # of each kind, to try and to compare networks on
_GREYS: Pixels = np.repeat(np.array([[0], [0.5], [1]], np.float32), PIXELS, axis=1)  # black, grey and white


@dataclass(frozen=True)
class Brought:
    """A user's network, and what the options say about it."""

    name: str
    network: Source | Path  # a class, or an ONNX file
    weights: Path | None = None  # of the class
    arguments: Mapping[str, Any] = field(default_factory=dict)  # of the class's constructor
    shape: tuple[int, ...] | None = None  # None: found by trying
    meaning: Meaning | None = None  # likewise
    mean: float = 0.0
    std: float = 1.0
    inverted: bool = False
    labels: Sequence[str] = ()
    labels_file: Path | None = None  # where they were read, for messages
    pictures: Literal["mnist", "plain"] = "plain"
    validation: Path | None = None  # folder of IDX files to calibrate on
    transpose: bool = False  # of their images


def package(brought: Brought, folder: Path, tell: Tell) -> None:
    """Write all that goes into a model's archive beside handler/ into `folder`, and remove what was there.

    Args:
        brought: the network, and what the options say about it.
        folder: where the files go; the card goes beside it.
        tell: takes a sentence of what was found.

    Raises:
        PackagingError: it cannot be used as it is.
        DatasetError: the validation images cannot be used.
    """
    with replacement(folder.parent) as model:
        archive = model / folder.name
        archive.mkdir()
        if isinstance(brought.network, Source):
            with brought.network.importable():
                _pack_class(brought, brought.network, archive, tell)
        else:
            _pack_onnx(brought, brought.network, archive, tell)


def _pack_class(brought: Brought, source: Source, folder: Path, tell: Tell) -> None:
    kind = source.load()
    if brought.weights is None:
        raise PackagingError(f"Expected the weights of {kind.__name__}, got none: name their file with --weights.")
    network = _network(kind, brought.arguments, brought.weights, tell)

    def ask(images: Pixels) -> Any:
        with torch.inference_mode():
            found = network(torch.tensor(images))  # a copy, since some networks work in place
        return tuple(found) if isinstance(found, tuple | list) else found

    interface, findings = _interface(brought, ask)
    tell(f"{kind.__name__} {findings}.")
    adapter = Adapter(network, interface)
    _require_complete(brought, source, adapter, brought.weights)
    calibration, golden = _calibrate(brought, adapter, findings.classes, tell)
    images = _images()
    expected = export.answers(adapter, images)
    metadata = _metadata(brought, f"{kind.__name__} {findings}", brought.weights, calibration)
    files = Files.of(folder, brought.name)
    tell("Exporting the network to ONNX, and comparing the two.")
    try:
        export.write(adapter, metadata, files)
    except export.ExportError as error:
        tell(f"It cannot be exported to ONNX ({error}). It will run as it is, in PyTorch, one image at a time.")
        # What its code decides by the pixels of a batch may depend on other clients' images.
        adapter.interface = replace(adapter.interface, one_by_one=True)
        imported = {"module": source.module, "class": kind.__name__, "arguments": dict(brought.arguments)}
        metadata["imported"] = {**imported, "interface": asdict(adapter.interface)}
        tell(under_torch.write(folder, network, source, metadata, images, expected))
    else:
        largest = export.check(files, expected, images)
        tell(f"Exported to ONNX: its probabilities differ from the module's by at most {largest:.1g}.")
    _write_rest(brought, folder, metadata, golden, adapter)


def _network(kind: type[nn.Module], arguments: Mapping[str, Any], weights: Path, tell: Tell) -> nn.Module:
    """A network with its weights, in evaluation mode."""
    try:
        network = construct(kind, arguments)
        remarks = checkpoint.fit(network, checkpoint.read(weights, kind.__module__), weights)
    except PackagingError as error:
        if held := checkpoint.arguments(weights, kind, arguments):
            option = shlex.quote(json.dumps(held, ensure_ascii=False))
            raise PackagingError(
                f"{error} The file contains arguments of {kind.__name__}: try --model-args {option}."
            ) from None
        raise
    for remark in remarks:
        tell(f"{weights.name}: {remark}.")
    return network


def _require_complete(brought: Brought, source: Source, adapter: Adapter, weights: Path) -> None:
    """Raise PackagingError if the class answers otherwise with the same weights once it is imported again."""
    images = np.concatenate([_images(), _GREYS])
    with source.anew():
        try:
            network = _network(source.load(), brought.arguments, weights, lambda _: None)
            again = export.answers(Adapter(network, adapter.interface), images)
        except Exception:  # some code can be imported only once in a process
            return
    if not np.allclose(again, export.answers(adapter, images), atol=export.TOLERANCE, equal_nan=True):
        raise checkpoint.incomplete(adapter.network, weights)


def _pack_onnx(brought: Brought, path: Path, folder: Path, tell: Tell) -> None:
    network = ForeignOnnx(path)
    if brought.shape not in (None, network.shape):
        taken, said = ", ".join(map(str, network.shape)), "x".join(map(str, brought.shape or ()))
        raise PackagingError(f"{path.name} takes (B, {taken}), but --input-shape says {said}: leave the option out.")
    interface, findings = _interface(replace(brought, shape=network.shape), network)
    if findings.one_by_one:
        raise PackagingError(
            f"The answer of {path.name} to an image depends on the others in its batch. Use the class and its weights "
            "instead, with --model-file and --weights: they can run one image at a time."
        )
    tell(f"{path.name} {findings}.")
    adapter = Adapter(network.module(), interface)
    calibration, golden = _calibrate(brought, adapter, findings.classes, tell)
    metadata = _metadata(brought, f"{path.name} {findings}", path, calibration)
    file = Files.of(folder, brought.name).onnx
    onnx_file.save_onnx(network.adapted(adapter.interface), metadata, file)
    images = _images()
    export.compare(export.answers(adapter, images), OnnxRuntime(file).probabilities, images)
    _write_rest(brought, folder, metadata, golden, adapter)


def _interface(brought: Brought, network: Network) -> tuple[Interface, Findings]:
    def expected(images: Pixels) -> Pixels:
        pixels = 1 - images if brought.inverted else images
        return ((pixels - brought.mean) / brought.std).astype(np.float32)

    findings = probe.find(network, expected(_images()), expected(_GREYS), brought.shape, brought.meaning)
    if brought.labels and len(brought.labels) != findings.classes:
        where = f" in {brought.labels_file}" if brought.labels_file else ""
        raise PackagingError(
            f"Expected a label for each of {findings.classes} classes{where}, got {len(brought.labels)}."
        )
    interface = Interface(
        shape=findings.shapes[0],
        meaning=findings.meaning,
        in_tuple=findings.in_tuple,
        one_by_one=findings.one_by_one,
        inverted=brought.inverted,
        mean=brought.mean,
        std=brought.std,
    )
    return interface, findings


def _calibrate(brought: Brought, adapter: Adapter, classes: int, tell: Tell) -> tuple[Calibration | None, Pixels]:
    """Give the adapter the temperature that fits validation images, if there are any.

    Returns:
        What was found, and an image for the golden example.
    """
    answer = partial(export.answers, adapter)
    if brought.validation is None:
        tell("Its confidence is not calibrated. To calibrate it, add --calibrate FOLDER with validation images.")
        if doubt := confidence.doubt(answer(_images()[:_IMAGES])):
            tell(doubt)
        return None, export.random_images(1)[0]
    found, image = validation.calibrate(brought.validation, classes, answer, tell, transpose=brought.transpose)
    adapter.interface = replace(adapter.interface, temperature=found["temperature"])
    return found, image


def _metadata(brought: Brought, summary: str, weights: Path, calibration: Calibration | None) -> dict[str, Any]:
    remarks = [model_folder.NO_OTHERS]
    return {
        "name": brought.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "summary": summary,
        "weights": weights.name,
        "normalization": {"mean": brought.mean, "std": brought.std, "inverted": brought.inverted},
        "calibration": calibration,
        "remarks": remarks if calibration else ["not calibrated", *remarks],
    }


def _write_rest(brought: Brought, folder: Path, metadata: Mapping[str, Any], golden: Pixels, adapter: Adapter) -> None:
    model_folder.write_settings(folder, brought.name, brought.pictures, on_cpu=isinstance(brought.network, Path))
    model_folder.write_labels(folder, brought.labels)
    model_folder.write_golden(folder, golden, export.answers(adapter, golden[None])[0])
    model_folder.write_card(folder, metadata)


def _images() -> Pixels:
    """Real digits, others that are ever brighter, and noise, (n, 784)."""
    real = digits.floats(digits.sample()[0])
    brightness = np.linspace(0.1, 0.9, _IMAGES, dtype=np.float32)[:, np.newaxis]
    dim = real[_IMAGES : 2 * _IMAGES] * brightness
    return np.concatenate([real[:_IMAGES], dim, export.random_images(_IMAGES)])
