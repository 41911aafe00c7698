"""A worker, for the tests of what it does with a batch."""

import shutil
from pathlib import Path

import pytest
from mnist_torchserve.project import MODEL_STORE, ROOT
from tests.support.worker import Worker


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive's files, but for its code, as TorchServe unpacks them."""
    folder = tmp_path_factory.mktemp("model")
    for file in (*(ROOT / "handler").glob("*.[yj]*"), MODEL_STORE / "mnist.pt", MODEL_STORE / "mnist.onnx"):
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def worker(model_dir: Path) -> Worker:
    return Worker(model_dir)
