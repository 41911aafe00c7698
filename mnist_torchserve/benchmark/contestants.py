"""The servers that the benchmark compares, each started on free ports and stopped at the end."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.ports import free_ports
from mnist_torchserve.project import MODEL_STORE, ROOT
from mnist_torchserve.service import Archive, TorchServe
from mnist_torchserve.service.properties import write_on_free_ports
from mnist_torchserve.waiting import wait_until

_BASELINES = Path(__file__).with_name("baselines")
_START_TIMEOUT = 60  # s
_ARCHIVE = "mnist.mar"  # whatever config.properties loads
_LIFTED = 1_000_000  # requests a second


@dataclass(frozen=True)
class Running:
    """A contestant that is up."""

    url: str  # of its predictions
    processes: list[psutil.Process]  # without their children
    start: float  # s from its start to its first answer


Contestant = Callable[[Path, bytes], AbstractContextManager[Running]]  # from its folder and a payload to try it with


@contextmanager
def fastapi_app(home: Path, payload: bytes) -> Iterator[Running]:
    """The FastAPI service, rewritten from its documentation, on uvicorn with one worker."""
    [port] = free_ports(1)
    app = "mnist_torchserve.benchmark.baselines.fastapi_app:app"
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--no-access-log"]
    began = time.monotonic()
    with open(home / "output", "w") as output:
        process = psutil.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}/predict"
        _wait_for_answer(url, payload)
        yield Running(url, [process], time.monotonic() - began)
    finally:
        process.terminate()
        process.wait()


def plain_torchserve(home: Path, payload: bytes) -> AbstractContextManager[Running]:
    """A handler as TorchServe's documentation teaches it, in TorchServe's default configuration."""
    command = [str(Path(sys.executable).with_name("torch-model-archiver")), "--model-name", "mnist", "--version", "1.0"]
    command += ["--handler", f"{_BASELINES}/plain_handler.py", "--extra-files", f"{ROOT}/handler"]
    command += ["--serialized-file", str(MODEL_STORE / "mnist.pt"), "--export-path", str(home)]
    subprocess.run(command, check=True, capture_output=True)
    settings = {
        "load_models": _ARCHIVE,
        "disable_token_authorization": "true",
        "grpc_inference_address": "127.0.0.1",
        "grpc_management_address": "127.0.0.1",
    }
    return _torchserve(TorchServe(write_on_free_ports(home, settings), home, home, log_config=None), payload)


def this_project(home: Path, payload: bytes, **model_settings: object) -> AbstractContextManager[Running]:
    """This project as shipped, or with changed settings in model-config.yaml."""
    Archive().variant(home, **model_settings)
    return _torchserve(TorchServe.on_free_ports(home, home, load_models=_ARCHIVE), payload)


def without_batching(home: Path, payload: bytes) -> AbstractContextManager[Running]:
    """This project with one request in each batch."""
    return this_project(home, payload, batchSize=1)


def with_cache(home: Path, payload: bytes) -> AbstractContextManager[Running]:
    """This project with a cache that holds the answers to all payloads of the benchmark."""
    return this_project(home, payload, handler={"cacheSize": 10_000, "metricsPeriod": 1})


def without_metrics(home: Path, payload: bytes) -> AbstractContextManager[Running]:
    """This project with its workers' metrics turned off."""
    return this_project(home, payload, handler={"cacheSize": 0, "metricsPeriod": 0})


@contextmanager
def behind_gateway(home: Path, payload: bytes) -> Iterator[Running]:
    """This project behind its gateway as shipped, except that the rate limits are too high to be reached."""
    began = time.monotonic()
    with TorchServe.on_free_ports(home, load_models=_ARCHIVE).running() as server:
        unlimited = Gateway.on_free_ports(home / "gateway", server, rate_limit_all=_LIFTED, rate_limit_client=_LIFTED)
        with unlimited.running() as gateway:
            _wait_for_answer(gateway.predict_url, payload)
            processes = [gateway.family()[0], server.family()[0]]
            yield Running(gateway.predict_url, processes, time.monotonic() - began)


@contextmanager
def _torchserve(server: TorchServe, payload: bytes) -> Iterator[Running]:
    began = time.monotonic()
    with server.running():
        _wait_for_answer(server.predict_url, payload)
        yield Running(server.predict_url, server.family()[:1], time.monotonic() - began)


def _wait_for_answer(url: str, payload: bytes) -> None:
    def answers() -> bool:
        try:
            return requests.post(url, data=payload, headers={"Content-Type": "application/json"}, timeout=5).ok
        except requests.RequestException:
            return False

    try:
        wait_until(answers, _START_TIMEOUT, poll=0.02)
    except TimeoutError:
        raise ServiceError(f"No answer from {url} within {_START_TIMEOUT} s.") from None
