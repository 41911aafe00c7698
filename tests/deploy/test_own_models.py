"""Both images and Compose for models of somebody's own: a variable or two, and no file of ours is edited."""

import os
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import requests
from mnist_torchserve.contract import TIMEOUT
from mnist_torchserve.packaging.package import package
from mnist_torchserve.ports import free_ports
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import Archive
from tests.packaging import networks
from tests.packaging.networks import NETWORKS
from tests.support import checkout, engine
from tests.support.engine import Compose

pytestmark = pytest.mark.containers

KEY = {"x-api-key": "0123456789abcdef0123456789abcdef"}
FIRST, SECOND = "has_arguments", "checks_for_nan"  # the second cannot be exported
PACKAGE = "sortedcontainers"  # which TorchServe's image lacks


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Compose, str]]:
    """Two models in a copy of this tree, built and started by Compose; the gateway's URL."""
    folder = tmp_path_factory.mktemp("own")
    root = folder / "checkout"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*checkout.LEFT_OUT))
    for name in (FIRST, SECOND):
        brought, _ = networks.write(name, folder / name)
        if name == SECOND:
            file = folder / name / f"{name}.py"
            file.write_text(f"import {PACKAGE}\n{file.read_text()}")
        archive = Archive(root / "model_store" / f"{name}.mar", folder / f"{name}-archive")
        package(brought, archive.contents, print)
        archive.build()
    keys = folder / "keys"
    keys.write_text(f"{KEY['x-api-key']}\n")
    keys.chmod(0o444)
    [port] = free_ports(1)
    images = {f"{name.upper()}_IMAGE": f"mnist-own-test-{name}:{os.getpid()}" for name in ("torchserve", "gateway")}
    variables = {**images, "API_KEYS": str(keys), "PUBLISH": f"127.0.0.1:{port}", "TORCHSERVE_WORKERS": "1"}
    models = {"MODELS": f"{FIRST},{SECOND}", "PACKAGES": f"{PACKAGE}=={version(PACKAGE)}"}
    started = Compose(f"mnist-own-test-{os.getpid()}", {**variables, **models}, root)
    try:
        started("up", "--build", "--detach", "--wait", timeout=engine.BUILD_TIMEOUT)
        yield started, f"http://127.0.0.1:{port}"
    finally:
        started("down", "--volumes", "--rmi", "all")


def test_first_model_answers_with_its_labels_and_the_second_with_its_package(
    compose: tuple[Compose, str], tmp_path: Path
) -> None:
    _, url = compose
    image = np.random.default_rng(3).random(784, np.float32)
    _, itself = networks.write(FIRST, tmp_path / FIRST)
    expected = NETWORKS[FIRST].said["labels"][int(itself(image[np.newaxis]).argmax())]
    answer = requests.post(f"{url}/predict", json={"data": image.tolist()}, headers=KEY, timeout=TIMEOUT)
    assert answer.json()["label"] == expected
    assert requests.get(f"{url}/health", timeout=TIMEOUT).status_code == 200
    assert requests.get(f"{url}/v1/models", timeout=TIMEOUT).json() == {"models": [FIRST, SECOND]}
    body = {"instances": [image.tolist()]}
    answer = requests.post(f"{url}/v1/models/{SECOND}:predict", json=body, headers=KEY, timeout=TIMEOUT)
    assert answer.status_code == 200
    assert requests.post(f"{url}/v1/models/mnist:predict", json=body, headers=KEY, timeout=TIMEOUT).status_code == 404


def test_containers_are_healthy_and_hold_these_models_alone(compose: tuple[Compose, str]) -> None:
    started, _ = compose
    for service in ("torchserve", "gateway"):
        [identity] = started.containers(service)
        assert engine.inspect(identity)["State"]["Health"]["Status"] == "healthy"
        assert "python -I healthcheck.py" in " ".join(engine.inspect(identity)["Config"]["Healthcheck"]["Test"])
    [identity] = started.containers("torchserve")
    assert engine.docker("exec", identity, "ls", "model_store").split() == sorted([f"{FIRST}.mar", f"{SECOND}.mar"])
    for name in (FIRST, SECOND):  # TORCHSERVE_WORKERS is of each
        ask = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8081/models/{name}').read().decode())"
        assert engine.docker("exec", identity, "python", "-c", ask).count('"READY"') == 1
