"""The model archive `model_store/mnist.mar`: how it is built, and when it is out of date."""

import fcntl
import os
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.project import MODEL_STORE, ROOT

_WORKING = ["torch-model-archiver", "--model-name", "mnist", "--version", "1.0"]
_WORKING += ["--handler", "handler/mnist_handler.py", "--serialized-file", "model_store/mnist.pt"]
# Of a folder the archiver copies the children, subfolders whole.
_WORKING += ["--extra-files", "handler,model_store/mnist.onnx", "--config-file", "handler/model-config.yaml"]

Change = Callable[[bytes], bytes]


class Archive:
    """A `.mar` file of this checkout's handler and weights.

    Args:
        path: the file.
    """

    def __init__(self, path: Path = MODEL_STORE / "mnist.mar") -> None:
        self.path = path

    @staticmethod
    def command(export_path: str) -> list[str]:
        """The `torch-model-archiver` command that builds the archive in `export_path`, run from the root."""
        return [*_WORKING, "--export-path", export_path, "--force"]

    def is_current(self) -> bool:
        """Whether the archive is there, whole, and holds what it would be built from, whenever that was written."""
        if not zipfile.is_zipfile(self.path):  # its directory is at its end, so half of one is none
            return False
        with zipfile.ZipFile(self.path) as built:
            held = {entry.filename: entry.CRC for entry in built.infolist() if not entry.is_dir()}
        sources = {name: zlib.crc32(file.read_bytes()) for name, file in _sources().items() if file.is_file()}
        return sources == {name: crc for name, crc in held.items() if not name.startswith("MAR-INF/")}

    def build(self) -> None:
        """Build the archive, aside first, so that a half-written one is never seen.

        Raises:
            ServiceError: a source is missing, or the archiver failed.
        """
        for source in _sources().values():
            if not source.is_file():
                raise ServiceError(f"{source} is missing and belongs into the archive: restore it with git.")
        with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=".building-") as aside:
            [program, *arguments] = self.command(aside)
            archiver = Path(sys.executable).with_name(program)
            # It works in a folder `mnist` of the system's temporary one, where another of its kind may work as well.
            variables = {**os.environ, "TMPDIR": aside}
            done = subprocess.run(
                [archiver, *arguments], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise ServiceError(f"torch-model-archiver failed: {done.stderr.strip().splitlines()[-1]}")
            _without_bytecode(Path(aside) / "mnist.mar", self.path)

    def build_if_outdated(self) -> None:
        """Build the archive unless it is current, and say so."""
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # who comes second finds it built
            if not self.is_current():
                print(f"Building {self.path}", flush=True)
                self.build()
        finally:
            os.close(folder)

    def copy(self, folder: Path, changes: Mapping[str, Change]) -> None:
        """Write a copy of the archive into `folder`, with some of its files changed.

        Raises:
            KeyError: there is no file of such a name.
        """
        with zipfile.ZipFile(self.path) as ours, zipfile.ZipFile(folder / self.path.name, "w") as copy:
            contents = {name: ours.read(name) for name in ours.namelist()}
            contents |= {name: change(contents[name]) for name, change in changes.items()}
            for name, content in contents.items():
                copy.writestr(name, content)

    def variant(self, folder: Path, **settings: object) -> None:
        """Write a copy of the archive into `folder`, with other settings in its model-config.yaml."""
        self.copy(
            folder, {"model-config.yaml": lambda usual: yaml.safe_dump({**yaml.safe_load(usual), **settings}).encode()}
        )


def _sources() -> dict[str, Path]:
    """All files that go into the archive, by their names there."""
    handler = ROOT / "handler"
    code = [file for file in handler.rglob("*") if file.is_file() and file.parent.name != "__pycache__"]
    weights = [MODEL_STORE / name for name in ("mnist.pt", "mnist.onnx")]
    return {file.relative_to(handler).as_posix(): file for file in code} | {file.name: file for file in weights}


def _without_bytecode(built: Path, path: Path) -> None:
    """Put an archive in its place, without the `__pycache__` that the archiver copies along."""
    aside = built.with_suffix(".whole")
    with zipfile.ZipFile(built) as opened, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as copy:
        for entry in opened.infolist():
            if "__pycache__" not in entry.filename:
                copy.writestr(entry, opened.read(entry))
    aside.replace(path)
