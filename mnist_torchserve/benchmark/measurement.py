"""The benchmark: what is measured, in which order, and the resulting figures."""

import json
import statistics
import sys
import time
import timeit
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import requests
import torch
from numpy.typing import NDArray
from classifier import batch, runtime
from classifier.types import PIXELS, Model, Request
from mnist_torchserve import processes
from mnist_torchserve.client import digits, weights
from mnist_torchserve.contract import Answer
from mnist_torchserve.project import MODEL_STORE
from mnist_torchserve.waiting import wait_until
from . import contestants, wrk
from .contestants import Contestant, Running

JSON = "application/json"
BINARY = "application/octet-stream"
CONNECTIONS = (1, 16, 64, 256)
CHECKED = 25  # answers of each row that are compared with those of the network itself
FORWARD_SIZES = (1, 64, 1024)
SETTLE_TIMEOUT = 10.0  # s
PAIRS = 4  # in each round, with metrics and without
WARM_UP = 3  # times as long as a point, since the JVM compiles for ten seconds under load
_BATCH = 16


@dataclass(frozen=True)
class Row:
    """A row of the table: a server, its payloads, and the numbers of connections at which it is measured."""

    name: str
    contestant: Contestant
    encoding: str = "json"
    connections: tuple[int, ...] = CONNECTIONS


FASTAPI = "FastAPI, uvicorn"
PLAIN = "TorchServe, plain handler"
OURS = "this project"
UNBATCHED = "this project, batching off"
GATEWAY = "this project behind its gateway"
ROWS = (
    Row(FASTAPI, contestants.fastapi_app),
    Row(PLAIN, contestants.plain_torchserve),
    Row(OURS, contestants.this_project),
    Row(UNBATCHED, contestants.without_batching, connections=(1, 64)),
    Row(GATEWAY, contestants.behind_gateway),
    Row("this project, float32 payloads", contestants.this_project, "float32", (1, 64)),
    Row("this project, uint8 payloads", contestants.this_project, "uint8", (1, 64)),
    Row("this project, every answer cached", contestants.with_cache, connections=(64,)),
)


@dataclass
class Point:
    """A row at one number of connections: one entry for each round."""

    results: list[wrk.Result] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # s of the server's processes for each answer


@dataclass
class Measurement:
    """Everything that a run has measured."""

    points: dict[tuple[str, int], Point]
    start: dict[str, float]  # s to the first answer, by row
    memory: dict[str, int]  # resident bytes of all processes of a server after the load, by row
    in_process: float  # images per second, decoded and predicted in two processes without a server
    forward: dict[tuple[str, int], float]  # s of a forward pass, by runtime and batch size
    metrics: list[float]  # throughput with metrics ÷ without, at 64 connections, pair by pair

    def ratios(self, row: str, base: str, connections: int, figure: str) -> list[float]:
        """A row's figure divided by the base's, round by round."""
        pairs = zip(self.points[row, connections].results, self.points[base, connections].results, strict=True)
        return [getattr(mine, figure) / getattr(theirs, figure) for mine, theirs in pairs]

    def differences(self, row: str, base: str, connections: int, figure: str) -> list[float]:
        """A row's figure minus the base's, round by round."""
        pairs = zip(self.points[row, connections].results, self.points[base, connections].results, strict=True)
        return [getattr(mine, figure) - getattr(theirs, figure) for mine, theirs in pairs]

    def ratios_of_connections(self, row: str, connections: int, base: int) -> list[float]:
        """A row's throughput at one number of connections divided by its throughput at another, round by round."""
        pairs = zip(self.points[row, connections].results, self.points[row, base].results, strict=True)
        return [mine.throughput / theirs.throughput for mine, theirs in pairs]

    def median(self, row: str, connections: int, figure: str) -> float:
        """Median of a row's figure over the rounds."""
        values: list[float] = [getattr(result, figure) for result in self.points[row, connections].results]
        return statistics.median(values)


def measure(pixels: NDArray[np.uint8], folder: Path, rounds: int, seconds: int) -> Measurement:
    """Start every contestant, load them in turns for several rounds, and stop them.

    Args:
        pixels: digits (n, 784), each of which becomes a payload.
        folder: where the servers keep their files.
        rounds: how often each point is measured, spread over the run.
        seconds: how long it is measured each time.

    Raises:
        WrkError: wrk is missing or failed.
        ServerError: a contestant did not start.
        ValueError: a contestant gave a wrong answer.
    """
    bodies = _encode(pixels)
    for encoding, encoded in bodies.items():
        wrk.write_payloads(folder / encoding, encoded)
    oracle = runtime.TorchRuntime(runtime.find(MODEL_STORE).saved, "cpu")
    expected = weights.answers(oracle, digits.floats(pixels[:CHECKED]))
    points = {(row.name, connections): Point() for row in ROWS for connections in row.connections}
    with ExitStack() as stack:
        running: dict[Contestant, Running] = {}
        for contestant in {row.contestant: None for row in ROWS}:
            _say(f"starting {contestant.__name__.replace('_', ' ')}")
            home = folder / contestant.__name__
            home.mkdir()
            running[contestant] = stack.enter_context(contestant(home, bodies["json"][0]))
        for row in ROWS:
            _say(f"checking and warming up {row.name}")
            url, media_type = running[row.contestant].url, _media_type(row.encoding)
            _check(url, bodies[row.encoding][:CHECKED], media_type, expected)
            wrk.run(url, folder / row.encoding, media_type, 64, WARM_UP * seconds)
            _settle(running[row.contestant].processes)
        for row, connections, number in _schedule(rounds):
            _say(f"round {number} of {rounds}: {row.name}, {connections} connections")
            server = running[row.contestant]
            before = _cpu(server.processes)
            result = wrk.run(server.url, folder / row.encoding, _media_type(row.encoding), connections, seconds)
            point = points[row.name, connections]
            point.results.append(result)
            point.cpu.append((_cpu(server.processes) - before) / max(result.requests, 1))
            _settle(server.processes)
        _say("with and without metrics, in turns")
        (folder / "without_metrics").mkdir()
        with contestants.without_metrics(folder / "without_metrics", bodies["json"][0]) as without:
            urls = running[contestants.this_project].url, without.url
            metrics = _pairs(*urls, folder / "json", PAIRS * rounds, WARM_UP * seconds)
        start = {row.name: running[row.contestant].start for row in ROWS}
        memory = {row.name: _memory(running[row.contestant].processes) for row in ROWS}
    _say("decoding and predicting without a server")
    return Measurement(points, start, memory, _in_process(bodies["json"], seconds), _forward(), metrics)


def _pairs(url: str, base: str, payloads: Path, count: int, warm_up: float) -> list[float]:
    """Throughput of one server divided by that of another that has just started: one second each, in turns.

    A difference of a few percent is less than the machine drifts within a round, but more than it drifts within a pair.
    The servers take turns at going first.
    """
    wrk.run(base, payloads, JSON, 64, warm_up)
    ratios = []
    for number in range(count):
        order = (url, base) if number % 2 else (base, url)
        rates = {each: wrk.run(each, payloads, JSON, 64, 1).throughput for each in order}
        ratios.append(rates[url] / rates[base])
    return ratios


def _schedule(rounds: int) -> Iterator[tuple[Row, int, int]]:
    """Every point once in each round, so that a drift of the machine affects all of them equally."""
    for number in range(1, rounds + 1):
        for connections in CONNECTIONS:
            yield from ((row, connections, number) for row in ROWS if connections in row.connections)


def _encode(pixels: NDArray[np.uint8]) -> dict[str, list[bytes]]:
    """Digits as clients send them: as JSON with floats in full precision, as float32, as uint8."""
    floats = pixels / 255
    return {
        "json": [json.dumps({"data": row.tolist()}).encode() for row in floats],
        "float32": [row.astype("<f4").tobytes() for row in floats],
        "uint8": [row.tobytes() for row in pixels],
    }


def _media_type(encoding: str) -> str:
    return JSON if encoding == "json" else BINARY


def _check(url: str, bodies: Sequence[bytes], media_type: str, expected: Sequence[Answer]) -> None:
    for body, right in zip(bodies, expected, strict=True):
        response = requests.post(url, data=body, headers={"Content-Type": media_type}, timeout=10)
        answer = Answer.parse(response.content)
        if answer is None or not answer.agrees(right):
            raise ValueError(f"Wrong answer from {url}: expected {right}, got {response.text[:200]}")


def _families(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    return [member for process in processes for member in (process, *process.children(recursive=True))]


def _cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(member.cpu_times()[:2]) for member in _families(processes))


def _settle(processes: Sequence[psutil.Process]) -> None:
    """Wait until a server has finished old requests, so that it takes no CPU from the next one."""

    def is_idle() -> bool:
        before = _cpu(processes)
        time.sleep(0.2)
        return _cpu(processes) - before < 0.02

    with suppress(TimeoutError):  # a server that is never idle is measured anyway
        wait_until(is_idle, SETTLE_TIMEOUT)


def _memory(processes: Sequence[psutil.Process]) -> int:
    return sum(member.memory_info().rss for member in _families(processes))


def _in_process(bodies: Sequence[bytes], seconds: float) -> float:
    """Images per second that two processes decode and predict, without a server."""
    with processes.pool(2) as pool:
        return sum(pool.starmap(_decode_and_predict, [(bodies, seconds)] * 2))


def _decode_and_predict(bodies: Sequence[bytes], seconds: float) -> float:
    loaded = runtime.load(MODEL_STORE, None)
    requests_ = [Request(body, JSON) for body in bodies]
    batches = [requests_[start : start + _BATCH] for start in range(0, len(bodies) - _BATCH + 1, _BATCH)]
    model = Model("", "")
    done, began = 0, time.monotonic()
    while time.monotonic() < began + seconds:
        for each in batches:
            loaded.probabilities(batch.read(each, model).pixels)
        done += len(batches) * _BATCH
    return done / (time.monotonic() - began)


def _forward() -> dict[tuple[str, int], float]:
    """Seconds of a forward pass on the CPU, and on a GPU if there is one: the median of several."""
    times = {}
    for gpu in [None, 0] if torch.cuda.is_available() else [None]:
        loaded = runtime.load(MODEL_STORE, gpu)
        for size in FORWARD_SIZES:
            forward = partial(loaded.probabilities, np.zeros((size, PIXELS), np.float32))
            times[loaded.name, size] = statistics.median(timeit.repeat(forward, number=5)) / 5
    return times


def _say(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)
