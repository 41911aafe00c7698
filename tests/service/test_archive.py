"""The archive: what is in it, and that the command by hand gives the same."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests
import torch
from mnist_torchserve.contract import TIMEOUT
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.project import EXAMPLE, MODEL_STORE, ROOT
from mnist_torchserve.service import Archive
from tests.support import environments
from tests.support.fixtures import MakeServer

HANDLER = ROOT / "handler"
SOURCES = [file for file in HANDLER.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
EXPECTED = {file.relative_to(HANDLER).as_posix(): file for file in SOURCES}
EXPECTED |= {name: MODEL_STORE / name for name in ("mnist.pt", "mnist.onnx")}


def contents(archive: Path) -> tuple[dict[str, bytes], Any]:
    """An archive's files by name, and its manifest without the time at which it was made."""
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if not name.endswith("/") and "__pycache__" not in name]
        files = {name: opened.read(name) for name in names}
    manifest = json.loads(files.pop("MAR-INF/MANIFEST.json"))
    del manifest["createdOn"]
    return files, manifest


def test_archive_holds_the_handler_the_weights_and_nothing_else(archive: Archive) -> None:
    files, manifest = contents(archive.path)
    assert files == {name: file.read_bytes() for name, file in EXPECTED.items()}
    assert manifest["model"]["modelName"] == "mnist"
    assert manifest["model"]["modelVersion"] == "1.0"
    assert manifest["model"]["handler"] == "mnist_handler.py"
    with zipfile.ZipFile(archive.path) as opened:
        assert not [name for name in opened.namelist() if "__pycache__" in name]


def test_command_by_hand_gives_the_same_archive(archive: Archive, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "by_hand.md").read_text().replace("\\\n", " ")
    [line] = [line for line in page.splitlines() if line.startswith("torch-model-archiver ")]
    words = shlex.split(line)
    words[words.index("--export-path") + 1] = str(tmp_path)
    words[0] = str(Path(sys.executable).with_name(words[0]))
    variables = {**os.environ, "TMPDIR": str(tmp_path)}  # where another archiver may work at the same time
    subprocess.run(words, cwd=ROOT, env=variables, check=True, capture_output=True)
    assert contents(tmp_path / "mnist.mar") == contents(archive.path)


@pytest.mark.parametrize("name", ["mnist_handler.py", "classifier/payload.py", "model-config.yaml", "mnist.onnx"])
def test_archive_is_built_again_when_it_holds_something_else(archive: Archive, tmp_path: Path, name: str) -> None:
    copy = Archive(tmp_path / "mnist.mar")
    copy.path.write_bytes(archive.path.read_bytes())
    os.utime(copy.path, (0, 0))
    assert copy.is_current(), "whenever it was written"
    archive.copy(tmp_path, {name: lambda content: content + b"#"})
    assert not copy.is_current()
    copy.build()
    assert copy.is_current()
    assert [path.name for path in tmp_path.iterdir()] == ["mnist.mar"]


FILES = ["awesome.onnx", "model-config.yaml", "golden_example.json"]


@pytest.mark.parametrize("is_built", [True, False], ids=["built", "new"])
@pytest.mark.parametrize("missing", [[name] for name in FILES] + [FILES], ids=lambda names: "+".join(names))
def test_half_a_model_is_said_with_the_file_that_is_missing(
    archive: Archive, tmp_path: Path, missing: list[str], is_built: bool
) -> None:
    half = Archive(tmp_path / "awesome.mar", tmp_path / "contents")
    half.contents.mkdir()
    for name in {*FILES, "awesome.pt"} - set(missing):
        (half.contents / name).write_bytes(b"some")
    if is_built:
        shutil.copy(archive.path, half.path)
    commands = (
        "`scripts/archive --name awesome --model-file …`, or train it with `scripts/train --name awesome --idx …`"
    )
    for step in (half.require, half.build, half.build_if_outdated):
        with pytest.raises(ServiceError) as refusal:
            step()
        assert re.fullmatch(rf"{half.contents}/({'|'.join(missing)}) is missing, .*: .*\.", str(refusal.value))
        assert commands in str(refusal.value)


def test_a_network_that_could_not_be_exported_needs_no_onnx(tmp_path: Path) -> None:
    whole = Archive(tmp_path / "awesome.mar", tmp_path / "contents")
    whole.contents.mkdir()
    for name in FILES[1:]:
        (whole.contents / name).write_bytes(b"some")
    torch.save({"state_dict": {}, "metadata": {"imported": {}}}, whole.contents / "awesome.pt")
    whole.require()
    torch.save({"state_dict": {}, "metadata": {}}, whole.contents / "awesome.pt")
    with pytest.raises(ServiceError, match=r"awesome\.onnx is missing"):
        whole.require()


def test_archive_needs_nothing_else_of_the_project(archive: Archive, tmp_path: Path) -> None:
    """Its code alone answers, in an environment with what a worker imports and no more."""
    python = environments.with_packages(tmp_path / "environment", "mnist-torchserve[handler]", "torchserve")
    with zipfile.ZipFile(archive.path) as opened:
        opened.extractall(tmp_path / "model")
    script = """
import json
import sys
import mnist_handler
from classifier import batch, runtime
from classifier.types import Model, Request
from pathlib import Path

assert "mnist_torchserve" not in sys.modules
read = batch.read([Request(Path(sys.argv[1]).read_bytes(), "application/json")], Model("mnist", "1.0"))
[response] = read.responses(runtime.load(Path("."), None).probabilities(read.pixels))
print(json.loads(response.body)["prediction"], Path(mnist_handler.batch.__file__).parent)
"""
    variables = {"PYTHONPATH": "."}  # where TorchServe unpacks an archive
    answered = subprocess.run(
        [python, "-c", script, EXAMPLE], cwd=tmp_path / "model", env=variables, capture_output=True, text=True
    )
    assert answered.stdout == f"7 {tmp_path}/model/classifier\n", answered.stderr
    missing = subprocess.run([python, "-c", "import mnist_torchserve"], cwd=tmp_path, capture_output=True, text=True)
    assert "No module named 'mnist_torchserve'" in missing.stderr


def test_worker_runs_the_archives_own_code(archive: Archive, make_server: MakeServer, tmp_path: Path) -> None:
    """Although this environment has the project installed, and its code says something else."""
    said = b"the archive's own sentence"
    archive.copy(
        tmp_path,
        {
            "classifier/payload.py": lambda code: code.replace(b"Expected {PIXELS} numbers", said),
            "model-config.yaml": lambda config: config.replace(b"Workers: 2", b"Workers: 1"),
        },
    )
    with make_server(tmp_path).running() as server:
        answer = requests.post(server.predict_url, json={"data": []}, timeout=TIMEOUT)
    assert said.decode() in answer.json()["message"]


def test_worker_refuses_to_run_code_that_hides_the_archives(tmp_path: Path) -> None:
    (tmp_path / "classifier").symlink_to(ROOT / "handler" / "classifier")
    shutil.copy(ROOT / "handler" / "mnist_handler.py", tmp_path)
    shutil.copytree(ROOT / "handler" / "classifier", tmp_path / "elsewhere" / "classifier")
    script = "import mnist_handler; mnist_handler.MnistHandler().initialize(None)"
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "elsewhere"), str(tmp_path)])}
    tried = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True)
    assert f"is hidden by {tmp_path}/elsewhere/classifier: take that folder off PYTHONPATH" in tried.stderr
