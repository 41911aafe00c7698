"""The record in a weights file: how and from what it was made, and how good it is. Contains only plain types."""

import json
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mnist_torchserve import machine
from mnist_torchserve.project import git
from .dataset import Dataset
from .fit import Configuration

CODE = ("handler/classifier/network.py", "mnist_torchserve/training")  # what decides the result of a training
PACKAGES = ("torch", "numpy", "onnx", "onnxruntime", "pillow")


def begin(path: Path, configuration: Configuration, dataset: Dataset) -> dict[str, Any]:
    """Return the circumstances of a training: those in `path` if they match, else the current ones, saved there."""
    now = _circumstances(configuration, dataset)
    if path.exists():
        then: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if all(then[part] == now[part] for part in ("configuration", "data")):
            return then
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(now, indent=2), encoding="utf-8")
    return now


def _circumstances(configuration: Configuration, dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "classes": list(dataset.labels),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "name": dataset.title,
            "source": dataset.source,
            "sha256": dataset.sha256,
            "train": len(dataset.train.labels),
            "validation": len(dataset.validation.labels),
            "test": len(dataset.test.labels),
        },
        "configuration": asdict(configuration),
        "commit": git("rev-parse", "HEAD"),
        "dirty": bool(git("status", "--porcelain", "--", *CODE)),
        "versions": {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        "machine": machine.description(),
    }
