"""The servers that the benchmark compares: each started from its files, on free ports, and stopped again."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import gateway
import model_archive
import psutil
import requests
import server
from environment import ROOT
from gateway import Gateway
from ports import free_ports
from server import Server

_BASELINES = ROOT / "tests" / "performancetests" / "baselines"
_START_TIMEOUT = 60  # s


@dataclass(frozen=True)
class Running:
    """A contestant that serves."""

    url: str  # of its predictions
    processes: list[psutil.Process]  # its own, without their children
    start: float  # s from its start to its first answer


Contestant = Callable[[Path, bytes], AbstractContextManager[Running]]  # its folder, and a payload for the first answer


@contextmanager
def fastapi_app(home: Path, payload: bytes) -> Iterator[Running]:
    """The FastAPI service on uvicorn, one worker."""
    [port] = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "fastapi_app:app", "--port", str(port), "--no-access-log"]
    variables = {**os.environ, "PYTHONPATH": f"{_BASELINES}{os.pathsep}{ROOT / 'handler'}"}
    began = time.monotonic()
    with open(home / "output", "w") as output:
        process = psutil.Popen(command, env=variables, stdout=output, stderr=subprocess.STDOUT)
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
    command += ["--handler", f"{_BASELINES}/plain_handler.py", "--extra-files", f"{ROOT}/handler/network.py"]
    command += ["--serialized-file", str(model_archive.WEIGHTS), "--export-path", str(home)]
    subprocess.run(command, check=True, capture_output=True)
    settings = {
        "load_models": "mnist.mar",
        "disable_token_authorization": "true",
        "grpc_inference_address": "127.0.0.1",
        "grpc_management_address": "127.0.0.1",
    }
    return _torchserve(Server(server.config_on_free_ports(home, settings), home, home, log_config=None), payload)


def this_project(home: Path, payload: bytes, **model_settings: object) -> AbstractContextManager[Running]:
    """This project as shipped, or with other settings in its model-config.yaml."""
    model_archive.variant(home, **model_settings)
    config = server.config_on_free_ports(home, server.read_properties(server.CONFIG))
    return _torchserve(Server(config, home, home), payload)


def without_batching(home: Path, payload: bytes) -> AbstractContextManager[Running]:
    """This project, one request at a time."""
    return this_project(home, payload, batchSize=1)


def with_cache(home: Path, payload: bytes) -> AbstractContextManager[Running]:
    """This project, remembering every answer of the benchmark's payloads."""
    return this_project(home, payload, handler={"cacheSize": 10_000, "metricsPeriod": 1})


def without_metrics(home: Path, payload: bytes) -> AbstractContextManager[Running]:
    """This project, its workers reporting nothing."""
    return this_project(home, payload, handler={"cacheSize": 0, "metricsPeriod": 0})


@contextmanager
def behind_gateway(home: Path, payload: bytes) -> Iterator[Running]:
    """This project behind its gateway as shipped; its rate limits alone are lifted, but still counted."""
    began = time.monotonic()
    template = (gateway.FOLDER / "envoy.yaml").read_text()
    (home / "envoy.yaml").write_text(re.sub(r"(max_tokens|tokens_per_fill): \d+", r"\1: 1000000", template))
    listen, metrics = free_ports(2)
    (home / "settings.toml").write_text(f'listen = "127.0.0.1:{listen}"\nmetrics = "127.0.0.1:{metrics}"\n')
    config = server.config_on_free_ports(home, server.read_properties(server.CONFIG))
    with Server(config, home).running() as torchserve:
        nodes = [gateway.node_of(torchserve)]
        with Gateway(nodes, home / "settings.toml", home / "envoy.yaml", home / "gateway").running() as envoy:
            _wait_for_answer(envoy.predict_url, payload)
            processes = [process for process in (torchserve.process(), envoy.process()) if process]
            yield Running(envoy.predict_url, processes, time.monotonic() - began)


@contextmanager
def _torchserve(torchserve: Server, payload: bytes) -> Iterator[Running]:
    began = time.monotonic()
    with torchserve.running():
        url = f"{torchserve.inference_url}/predictions/mnist"
        _wait_for_answer(url, payload)
        process = torchserve.process()
        if process is None:
            raise server.ServerError(f"TorchServe ended by itself; its logs are in {torchserve.logs}.")
        yield Running(url, [process], time.monotonic() - began)


def _wait_for_answer(url: str, payload: bytes) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            answer = requests.post(url, data=payload, headers={"Content-Type": "application/json"}, timeout=5)
            answer.raise_for_status()
            return
        except requests.RequestException as error:
            if time.monotonic() > deadline:
                raise server.ServerError(f"No answer from {url} within {_START_TIMEOUT} s: {error}") from None
            time.sleep(0.02)
