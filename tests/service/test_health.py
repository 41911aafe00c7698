"""The truth about the service, on both faces: whatever becomes of the model, its workers or the JVM, health tells."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import requests
import yaml
from onnx import numpy_helper
from mnist_torchserve.contract import blank
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.service import Archive, TorchServe
from mnist_torchserve.service.archive import Change
from mnist_torchserve.waiting import wait_until
from tests.support.fixtures import MakeGateway, MakeServer
from tests.support.workers import is_well, stuck

TIMEOUT = 60  # s
PROMPT = 2.0  # s in which a monitor wants the truth
WELL = (True, 200, {"status": "healthy", "model_loaded": True})
ILL = (False, 503, {"status": "unhealthy", "model_loaded": False})


class Subject:
    """A service whose archive can be exchanged while it runs."""

    def __init__(self, server: TorchServe, gateway: Gateway, store: Path) -> None:
        self.server = server
        self._gateway = gateway
        self._store = store

    def load(self, changes: Mapping[str, Change] | None = None, workers: int = 1) -> None:
        """Load the archive, some of its files changed, in place of the model that is there; do not wait for workers."""
        self.unload()
        Archive().copy(self._store, {"model-config.yaml": without_workers, **(changes or {})})
        models = f"{self.server.management_url}/models"
        requests.post(f"{models}?url=mnist.mar", timeout=TIMEOUT).raise_for_status()
        scaled = requests.put(f"{models}/mnist?min_worker={workers}&max_worker={workers}", timeout=TIMEOUT)
        scaled.raise_for_status()

    def unload(self) -> None:
        """Have no model at all."""
        requests.delete(f"{self.server.management_url}/models/mnist", timeout=TIMEOUT)

    def recover(self) -> None:
        """Be well, with the usual archive if need be."""
        if self._ask() != WELL:
            self.load()
            self.tells(WELL, TIMEOUT)

    def tells(self, expected: tuple[bool, int, Any], within: float = PROMPT) -> None:
        """Ask both faces until they say what is expected, which they must do in time."""
        try:
            wait_until(lambda: self._ask() == expected, within)
        except TimeoutError as error:
            raise AssertionError(self._ask()) from error

    def is_ill_until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; both faces must say all the while that the service is ill."""

        def holds_at_last() -> bool:
            self.tells(ILL)
            return holds()

        wait_until(holds_at_last, TIMEOUT)

    def pings(self) -> Any:
        """What TorchServe's own ping says."""
        return requests.get(f"{self.server.inference_url}/ping", timeout=TIMEOUT).json()

    def _ask(self) -> tuple[bool, int, Any]:
        answer = requests.get(f"{self._gateway.url}/health", timeout=PROMPT)
        return is_well(self.server), answer.status_code, answer.json()


@pytest.fixture(scope="module")
def subject(
    archive: Archive, make_server: MakeServer, make_gateway: MakeGateway, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    store = tmp_path_factory.mktemp("store")
    archive.copy(store, {})
    server = make_server(store, enable_model_api="true", job_queue_size="4")
    with server.running(), make_gateway(server).running() as gateway:
        yield Subject(server, gateway, store)


def without_workers(config: bytes, **settings: int) -> bytes:
    """A model of this configuration can be loaded although its workers die, and TorchServe goes on to start them."""
    return yaml.safe_dump({**yaml.safe_load(config), "minWorkers": 0, "maxWorkers": 0, **settings}).encode()


def other_digits(file: bytes) -> bytes:
    """Weights that load well, and take each digit for the one before it."""
    model = onnx.load_model_from_string(file)
    for tensor in model.graph.initializer:
        if tensor.name.startswith("network.classifier."):
            rolled = np.roll(numpy_helper.to_array(tensor), 1, axis=0)
            tensor.CopyFrom(numpy_helper.from_array(rolled, tensor.name))
    return bytes(model.SerializeToString())


def broken(_: bytes) -> bytes:
    return b"no weights"


def raising(handler: bytes) -> bytes:
    return b"import no_such_module\n" + handler


@pytest.mark.parametrize(
    "changes",
    [{"mnist.onnx": broken}, {"mnist.onnx": other_digits}, {"mnist_handler.py": raising}],
    ids=["broken weights", "wrong weights", "handler raises"],
)
def test_model_that_does_not_work_is_no_health(subject: Subject, changes: dict[str, Any]) -> None:
    log = subject.server.logs / "model_log.log"
    died = log.read_text().count("Backend worker process died.")
    subject.load(changes)
    # TorchServe starts it again and again.
    subject.is_ill_until(lambda: log.read_text().count("Backend worker process died.") >= died + 2)
    assert subject.pings() == {"status": "Healthy"}, "which is why nobody should ask it"


def test_without_model_or_worker_there_is_no_health(subject: Subject) -> None:
    subject.recover()
    subject.unload()
    subject.tells(ILL)
    subject.load(workers=0)
    subject.tells(ILL)
    assert subject.pings() == {"status": "Healthy"}
    subject.load()
    subject.tells(WELL, TIMEOUT)


def test_full_queue_is_no_health_until_there_is_room(subject: Subject) -> None:
    def predict(_: int) -> int:
        return requests.post(subject.server.predict_url, json=blank(), timeout=TIMEOUT).status_code

    subject.recover()
    with ThreadPoolExecutor(64) as pool:
        with stuck(subject.server):
            answers = [pool.submit(predict, number) for number in range(64)]
            wait_until(lambda: any(answer.done() for answer in answers), TIMEOUT)
            subject.tells(ILL)
        subject.tells(WELL)
        assert {answer.result() for answer in answers} == {200, 503}


def test_worker_that_hangs_is_no_health_and_is_replaced(subject: Subject, tmp_path: Path) -> None:
    """Even one that hangs over the question for its health, for whose answer TorchServe waits without end."""
    hangs = tmp_path / "hangs"

    def hanging(handler: bytes) -> bytes:
        begin = b"        pixels = batch.read([self._golden_request"
        assert handler.count(begin) == 1
        loop = f"        while __import__('os').path.exists({str(hangs)!r}): __import__('time').sleep(0.01)\n"
        return handler.replace(begin, loop.encode() + begin)

    def impatient(config: bytes) -> bytes:
        return without_workers(config, responseTimeout=3)

    subject.load({"mnist_handler.py": hanging, "model-config.yaml": impatient})
    subject.tells(WELL, TIMEOUT)
    before = subject.server.workers()
    hangs.touch()
    subject.is_ill_until(lambda: not any(worker.is_running() for worker in before))
    hangs.unlink()
    subject.tells(WELL, TIMEOUT)
    assert "_make_golden_prediction" in (subject.server.logs / "model_log.log").read_text(), "it tells where it hung"


def test_without_jvm_there_is_no_health(subject: Subject) -> None:
    subject.server.family()[0].kill()
    subject.tells(ILL)
    subject.server.stop()  # what is left of it
    subject.server.start()
    subject.tells(WELL, TIMEOUT)
