"""The model archive `model_store/mnist.mar`: how it is built, and when it is out of date."""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import yaml
from environment import ROOT

ARCHIVE = ROOT / "model_store" / "mnist.mar"
WEIGHTS = ROOT / "model_store" / "mnist.pt"
_HANDLER = "handler/mnist_handler.py"
_SOURCES = {
    "--handler": [_HANDLER],
    "--serialized-file": ["model_store/mnist.pt"],
    "--extra-files": [
        *sorted(f"handler/{path.name}" for path in (ROOT / "handler").glob("*.py") if not _HANDLER.endswith(path.name)),
        "model_store/mnist.onnx",
    ],
    "--config-file": ["handler/model-config.yaml"],
}


def command(export_path: str) -> list[str]:
    """The `torch-model-archiver` command that builds the archive in `export_path`, run from the root."""
    words = ["torch-model-archiver", "--model-name", "mnist", "--version", "1.0"]
    for option, files in _SOURCES.items():
        words += [option, ",".join(files)]
    return [*words, "--export-path", export_path, "--force"]


def is_current() -> bool:
    """Whether the archive is there, whole, and newer than all that goes into it."""
    if not zipfile.is_zipfile(ARCHIVE):  # its directory is at its end, so half of one is none
        return False
    built = ARCHIVE.stat().st_mtime
    return all((ROOT / file).stat().st_mtime <= built for files in _SOURCES.values() for file in files)


def build() -> None:
    """Build the archive, aside first, so that a half-written one is never seen.

    Raises:
        SystemExit: a source is missing, or the archiver failed.

    """
    for files in _SOURCES.values():
        for file in files:
            if not (ROOT / file).is_file():
                raise SystemExit(f"{ROOT / file} is missing and belongs into the archive: restore it with git.")
    with tempfile.TemporaryDirectory(dir=ARCHIVE.parent, prefix=".building-") as aside:
        [program, *arguments] = command(aside)
        archiver = Path(sys.executable).with_name(program)
        # It works in a folder `mnist` of the system's temporary one, where another of its kind may work as well.
        variables = {**os.environ, "TMPDIR": aside}
        done = subprocess.run(
            [archiver, *arguments], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"torch-model-archiver failed: {done.stderr.strip().splitlines()[-1]}")
        os.replace(Path(aside) / ARCHIVE.name, ARCHIVE)


def variant(folder: Path, **settings: object) -> None:
    """Write a copy of the archive into `folder`, with other settings in its model-config.yaml."""
    with zipfile.ZipFile(ARCHIVE) as opened, zipfile.ZipFile(folder / ARCHIVE.name, "w") as copy:
        for name in opened.namelist():
            content = opened.read(name)
            if name == "model-config.yaml":
                content = yaml.safe_dump({**yaml.safe_load(content), **settings}).encode()
            copy.writestr(name, content)
