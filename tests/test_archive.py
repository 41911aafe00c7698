"""The archive: what is in it, and that the README's command gives the same."""

import json
import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import model_archive
from environment import ROOT

EXPECTED = {
    "mnist_handler.py": "handler/mnist_handler.py",
    "cache.py": "handler/cache.py",
    "images.py": "handler/images.py",
    "instances.py": "handler/instances.py",
    "protocols.py": "handler/protocols.py",
    "tensors.py": "handler/tensors.py",
    "network.py": "handler/network.py",
    "payload.py": "handler/payload.py",
    "runtime.py": "handler/runtime.py",
    "telemetry.py": "handler/telemetry.py",
    "transport.py": "handler/transport.py",
    "model-config.yaml": "handler/model-config.yaml",
    "mnist.pt": "model_store/mnist.pt",
    "mnist.onnx": "model_store/mnist.onnx",
}


def contents(archive: Path) -> tuple[dict[str, bytes], Any]:
    """An archive's files by name, and its manifest without the time at which it was made."""
    with zipfile.ZipFile(archive) as opened:
        files = {name: opened.read(name) for name in opened.namelist() if not name.endswith("/")}
    manifest = json.loads(files.pop("MAR-INF/MANIFEST.json"))
    del manifest["createdOn"]
    return files, manifest


def test_archive_holds_the_handler_the_weights_and_nothing_else(archive: Path) -> None:
    files, manifest = contents(archive)
    assert files == {name: (ROOT / source).read_bytes() for name, source in EXPECTED.items()}
    assert manifest["model"]["modelName"] == "mnist"
    assert manifest["model"]["modelVersion"] == "1.0"
    assert manifest["model"]["handler"] == "mnist_handler.py"


def test_readme_command_gives_the_same_archive(archive: Path, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text().replace("\\\n", " ")
    [line] = [line for line in readme.splitlines() if line.startswith("torch-model-archiver ")]
    words = shlex.split(line)
    words[words.index("--export-path") + 1] = str(tmp_path)
    words[0] = str(Path(sys.executable).with_name(words[0]))
    variables = {**os.environ, "TMPDIR": str(tmp_path)}  # where another archiver may work at the same time
    subprocess.run(words, cwd=ROOT, env=variables, check=True, capture_output=True)
    assert contents(tmp_path / "mnist.mar") == contents(archive)


def test_archive_is_built_anew_when_a_source_is_newer(archive: Path) -> None:
    assert model_archive.is_current()
    (ROOT / "handler" / "payload.py").touch()
    assert not model_archive.is_current()
    model_archive.build()
    assert model_archive.is_current()
    assert not list(archive.parent.glob(".building-*"))
