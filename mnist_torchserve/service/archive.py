"""Builds a model archive, such as `model_store/mnist.mar`, and checks whether it is up to date."""

import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.project import MODEL_STORE, MODELS, ROOT

OURS = "mnist"  # this project's own model; its files are where the README's command names them
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

Change = Callable[[bytes], bytes]


class Archive:
    """A `.mar` file with this checkout's handler and a model's files.

    Args:
        path: the file, which has the name of its model.
        contents: the folder of what it contains besides handler/; None for the usual one. Our model has no such folder.
    """

    def __init__(self, path: Path = MODEL_STORE / f"{OURS}.mar", contents: Path | None = None) -> None:
        self.path = path
        self.name = path.name.removesuffix(".mar")
        self.contents = contents or MODELS / self.name / "archive"

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the archive of a model in the model store.

        Raises:
            ServiceError: TorchServe and a gateway cannot have this name in their routes.
        """
        if not _NAME.fullmatch(name):
            raise ServiceError(f"Expected a model's name of at most 64 letters, digits, `_` and `-`, got {name!r}.")
        return cls(MODEL_STORE / f"{name}.mar")

    def command(self, export_path: str) -> list[str]:
        """Return the `torch-model-archiver` command that builds the archive in `export_path`. Run it from the root."""
        if self.is_ours:
            weights, extra, config = "model_store/mnist.pt", "model_store/mnist.onnx", "handler/model-config.yaml"
        else:
            contents = os.path.relpath(self.contents, ROOT)
            found = [file for suffix in ("pt", "onnx") for file in self.contents.glob(f"*.{suffix}")]
            weights = f"{contents}/{found[0].name}" if found else f"{contents}/{self.name}.onnx"
            extra, config = contents, f"{contents}/model-config.yaml"
        command = ["torch-model-archiver", "--model-name", self.name, "--version", "1.0"]
        command += ["--handler", "handler/mnist_handler.py", "--serialized-file", weights]
        # The archiver copies a folder's files and whole subfolders. Later entries replace earlier ones.
        command += ["--extra-files", f"handler,{extra}", "--config-file", config]
        return [*command, "--export-path", export_path, "--force"]

    def is_current(self) -> bool:
        """Whether the archive exists, is whole, and contains its sources as they are now, whatever their dates.

        If its model's files are not in this checkout, it counts as current.
        """
        if not zipfile.is_zipfile(self.path):  # its directory is at the end, so a truncated file has none
            return False
        with zipfile.ZipFile(self.path) as built:
            held = {entry.filename: entry.CRC for entry in built.infolist() if not entry.is_dir()}
        if not self.has_sources():
            return True
        sources = {name: zlib.crc32(file.read_bytes()) for name, file in self._sources().items() if file.is_file()}
        return sources == {name: crc for name, crc in held.items() if not name.startswith("MAR-INF/")}

    @property
    def is_ours(self) -> bool:
        """Whether it contains this project's own model."""
        return self.name == OURS

    def has_sources(self) -> bool:
        """Whether the files of its model are in this checkout."""
        return self.is_ours or self.contents.is_dir()

    def build(self) -> None:
        """Build the archive in another place first, so that nobody reads a half-written one.

        Raises:
            ServiceError: a source is missing, or the archiver failed.
        """
        self._require_sources()
        with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=".building-") as aside:
            [program, *arguments] = self.command(aside)
            archiver = Path(sys.executable).with_name(program)
            # The archiver works in the temporary folder under the model's name, where another one may be at work.
            variables = {**os.environ, "TMPDIR": aside}
            done = subprocess.run(
                [archiver, *arguments], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise ServiceError(f"torch-model-archiver failed: {done.stderr.strip().splitlines()[-1]}")
            _without_bytecode(Path(aside) / self.path.name, self.path)

    def require(self) -> None:
        """Raise ServiceError unless the archive is there, or can be built."""
        if self.has_sources() or not self.is_current():
            self._require_sources()

    def build_if_outdated(self) -> None:
        """Build the archive if it is not current, and say so."""
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # a second process then finds it built
            if not self.is_current():
                print(f"Building {self.path}", flush=True)
                self.build()
        finally:
            os.close(folder)

    def golden_example(self) -> dict[str, Any]:
        """Return the image with which the archive's model shows that it works."""
        with zipfile.ZipFile(self.path) as built:
            example: dict[str, Any] = json.loads(built.read("golden_example.json"))
        return example

    def copy(self, folder: Path, changes: Mapping[str, Change]) -> None:
        """Write a copy of the archive into `folder`, with some of its files changed.

        Raises:
            KeyError: there is no file with such a name.
        """
        with zipfile.ZipFile(self.path) as ours, zipfile.ZipFile(folder / self.path.name, "w") as copy:
            contents = {name: ours.read(name) for name in ours.namelist()}
            contents |= {name: change(contents[name]) for name, change in changes.items()}
            for name, content in contents.items():
                copy.writestr(name, content)

    def _sources(self) -> dict[str, Path]:
        """Return all files that go into the archive, by their names there."""
        if self.is_ours:
            model = {name: MODEL_STORE / name for name in (f"{OURS}.pt", f"{OURS}.onnx")}
        else:
            model = _files(self.contents)
        return _files(ROOT / "handler") | model

    def _require_sources(self) -> None:
        bring = f"`scripts/archive --name {self.name} --model-file …`"
        train = f"train it with `scripts/train --name {self.name} --idx …`"
        if not self.has_sources():
            raise ServiceError(f"There is no model `{self.name}`: build it with {bring} or {train}.")
        for source in self._needed():
            if not source.is_file():
                is_theirs = source.is_relative_to(self.contents)
                remedy = f"bring the model again with {bring}, or {train}" if is_theirs else "restore it with git"
                raise ServiceError(f"{source} is missing, and the archive needs it: {remedy}.")

    def _needed(self) -> list[Path]:
        """Return the files without which no worker can load the archive's model."""
        handler = ROOT / "handler"
        if self.is_ours:
            model, weights = handler, [MODEL_STORE / f"{OURS}.pt", MODEL_STORE / f"{OURS}.onnx"]
        else:
            model, weights = self.contents, [self._weights()]
        return [handler / "mnist_handler.py", *weights, model / "model-config.yaml", model / "golden_example.json"]

    def _weights(self) -> Path:
        """Return the weights that a worker on a CPU loads: ONNX, but for a network that could not be exported."""
        exported, saved = ([*self.contents.glob(f"*.{suffix}")] for suffix in ("onnx", "pt"))
        if saved and not exported:
            from classifier import torch_network  # noqa: PLC0415 - it imports torch

            if torch_network.is_imported(saved[0]):
                return saved[0]
        return exported[0] if exported else self.contents / f"{self.name}.onnx"

    def variant(self, folder: Path, **settings: object) -> None:
        """Write a copy of the archive into `folder`, with other settings in its model-config.yaml."""
        self.copy(
            folder, {"model-config.yaml": lambda usual: yaml.safe_dump({**yaml.safe_load(usual), **settings}).encode()}
        )


def _files(folder: Path) -> dict[str, Path]:
    """Return all files of a folder, by their relative paths."""
    found = [file for file in folder.rglob("*") if file.is_file() and file.parent.name != "__pycache__"]
    return {file.relative_to(folder).as_posix(): file for file in found}


def _without_bytecode(built: Path, path: Path) -> None:
    """Move an archive to its place, without the `__pycache__` that the archiver also copies."""
    aside = built.with_suffix(".whole")
    with zipfile.ZipFile(built) as opened, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as copy:
        for entry in opened.infolist():
            if "__pycache__" not in entry.filename:
                copy.writestr(entry, opened.read(entry))
    aside.replace(path)
