"""Both images, built and run with all that can be taken from a container."""

import json
import re
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from mnist_torchserve.contract import TIMEOUT
from mnist_torchserve.project import EXAMPLE, ROOT, git
from mnist_torchserve.waiting import wait_until
from tests.support import engine

pytestmark = pytest.mark.containers

NAMES = ("torchserve", "gateway")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
READY = 90  # s
# A client within the container's network, which has what the image has: Python.
ASK = """
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode() or None, {"Content-Type": "application/json"})
try:
    answer = urllib.request.urlopen(request, timeout=10)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.read().decode())
"""
INSTALLED = """
import importlib.metadata, sys
print(*{each.metadata["Name"] for each in importlib.metadata.distributions(path=sys.path[-1:])})
"""


@pytest.fixture(scope="module")
def images() -> dict[str, str]:
    """Both, by the name of their target."""
    tags = {name: f"mnist-{name}:{VERSION}" for name in NAMES}
    for name, tag in tags.items():
        arguments = ["--build-arg", f"REVISION={git('rev-parse', 'HEAD')}", "--build-arg", "PIP_EXTRA_INDEX_URL"]
        build = ["build", "--file", str(ROOT / "deploy" / "Dockerfile"), "--target", name, "--tag", tag]
        engine.docker(*build, *arguments, str(ROOT), timeout=engine.BUILD_TIMEOUT)
    return tags


@contextmanager
def container(*words: str) -> Iterator[str]:
    """A container that `docker run` starts; its identity."""
    identity = engine.docker("run", "--detach", *engine.RESTRICTED, *words).split()[-1]
    try:
        yield identity
    finally:
        engine.docker("rm", "--force", identity)


def ask(identity: str, url: str, body: str = "") -> tuple[int, str]:
    status, _, answer = engine.docker("exec", identity, "python", "-I", "-c", ASK, url, body).partition(" ")
    return int(status), answer


def health(identity: str) -> str:
    return str(engine.inspect(identity)["State"]["Health"]["Status"])


@pytest.mark.parametrize("name", NAMES)
def test_image_holds_what_its_lock_lists_and_nothing_else(images: dict[str, str], name: str) -> None:
    locks = ["gateway"] if name == "gateway" else ["torchserve", "cpu", "java"]
    lock = "".join((ROOT / f"requirements-{each}.txt").read_text() for each in locks)
    listed = {entry.replace("_", "-").lower() for entry in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    printed = engine.docker("run", "--rm", "--entrypoint", "python", images[name], "-I", "-c", INSTALLED)
    assert {entry.replace("_", "-").lower() for entry in printed.split()} == listed


@pytest.mark.parametrize("name", NAMES)
def test_image_says_what_it_is(images: dict[str, str], name: str) -> None:
    config = engine.inspect(images[name])["Config"]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    assert labels["title"] == f"mnist-{name}"
    assert labels["version"] == VERSION
    assert labels["revision"] == git("rev-parse", "HEAD")
    assert labels["licenses"] == "MIT"
    assert "source" in labels
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"]


def test_service_answers_without_a_right_and_ends_in_time(images: dict[str, str]) -> None:
    with container("--memory=2g", "--env=TORCHSERVE_WORKERS=1", images["torchserve"]) as identity:
        wait_until(lambda: health(identity) == "healthy", READY)
        status, answer = ask(identity, "http://127.0.0.1:8080/predictions/mnist", EXAMPLE.read_text())
        assert (status, json.loads(answer)["prediction"]) == (200, 7)
        _, state = ask(identity, "http://127.0.0.1:8081/models/mnist")
        assert len(json.loads(state)[0]["workers"]) == 1
        began = time.monotonic()
        engine.docker("stop", "--time=40", identity)
        assert time.monotonic() - began < 30
        assert engine.inspect(identity)["State"]["ExitCode"] == 0
        assert [line["message"] for line in engine.log(identity)][-1] == "Stopped TorchServe"


def test_service_whose_jvm_is_killed_ends_so_that_it_is_restarted(images: dict[str, str]) -> None:
    kill = "import psutil; [p.kill() for p in psutil.process_iter() if p.name() == 'java']"
    with container("--restart=unless-stopped", images["torchserve"]) as identity:
        wait_until(lambda: health(identity) == "healthy", READY)
        engine.docker("exec", identity, "python", "-c", kill)
        wait_until(lambda: engine.inspect(identity)["RestartCount"] == 1, TIMEOUT)
        wait_until(lambda: health(identity) == "healthy", READY)
        assert "TorchServe ended unexpectedly." in [line["message"] for line in engine.log(identity)]


@pytest.mark.parametrize(("option", "threads"), [("--cpus=1", 1), ("--cpus=2", 2), ("--cpuset-cpus=0", 1)])
def test_gateway_takes_the_threads_of_its_share(images: dict[str, str], option: str, threads: int) -> None:
    settings = ROOT / "tests" / "deploy" / "gateway-alone.toml"
    mount = f"--volume={settings}:/app/deploy/gateway/settings.toml:ro"
    with container(option, mount, images["gateway"]) as identity:
        wait_until(lambda: health(identity) == "healthy", READY)
        assert f"--concurrency {threads}" in engine.docker("top", identity, "-o", "pid,args")


def test_gateway_without_a_node_says_503_and_logs_it(images: dict[str, str]) -> None:
    settings = ROOT / "tests" / "deploy" / "gateway-alone.toml"
    with container(f"--volume={settings}:/app/deploy/gateway/settings.toml:ro", images["gateway"]) as identity:
        wait_until(lambda: health(identity) == "healthy", READY)
        status, answer = ask(identity, "http://127.0.0.1:8000/predict", EXAMPLE.read_text())
        assert (status, json.loads(answer)["code"]) == (503, 503)
        wait_until(lambda: any(line.get("route") == "predict" for line in engine.log(identity)), TIMEOUT)


@pytest.mark.parametrize("name", NAMES)
def test_container_that_cannot_start_says_why_as_json(images: dict[str, str], name: str) -> None:
    with container("--env=TORCHSERVE_WORKERS=many", images[name]) as identity:
        assert engine.docker("wait", identity).strip() == "1"
        [*_, last] = engine.log(identity)
        assert last["level"] == "ERROR"
        assert re.fullmatch(r"Expected .*(TORCHSERVE_WORKERS|settings\.toml).*\.", last["message"])
