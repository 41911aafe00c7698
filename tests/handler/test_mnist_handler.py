"""The handler inside TorchServe's own Python: requests and answers in its real message format, without Java."""

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import ts
from ts.context import Context
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.service import Service
from classifier.types import CLASSES, Probabilities
from mnist_handler import MnistHandler
from mnist_torchserve.contract import BAD_INPUTS
from mnist_torchserve.project import ROOT
from tests.support import oracle
from tests.support.fixtures import Sample

Answer = tuple[int, str, Any]  # status, content type, document
MANIFEST = {"model": {"modelName": "mnist", "modelVersion": "1.0", "configFile": "model-config.yaml"}}


class Worker:
    """What TorchServe's worker process does with a batch, around our handler."""

    def __init__(self, model_dir: Path) -> None:
        metrics = MetricsCacheYamlImpl(str(Path(ts.__file__).parent / "configs" / "metrics.yaml"))
        metrics.initialize_cache()
        metrics.model_name = "mnist"
        handler = MnistHandler()
        self._service = Service("mnist", str(model_dir), MANIFEST, handler.handle, None, 16, metrics_cache=metrics)
        self._service.set_cl_socket(None)
        context: Context = self._service.context
        handler.initialize(context)

    def predict(self, *requests: dict[str, Any]) -> list[Answer]:
        return _answers(self._service.predict(list(requests)))


def request(body: bytes | None, /, media_type: str = "application/json", **headers: str) -> dict[str, Any]:
    """A request as TorchServe's message reader hands it over."""
    parameters = [] if body is None else [{"name": "body", "contentType": media_type, "value": bytearray(body)}]
    every = {"explain": "False", **headers}  # TorchServe adds the first to what comes by REST
    pairs = [{"name": name.encode(), "value": value.encode()} for name, value in every.items()]
    return {"requestId": b"id", "headers": pairs, "parameters": parameters}


def _answers(message: bytes) -> list[Answer]:
    """Read a response message: code, message, then for each request id, type, status, phrase, headers, body."""
    position = 0

    def integer() -> int:
        nonlocal position
        position += 4
        return int(struct.unpack_from("!i", message, position - 4)[0])

    def text() -> bytes:
        nonlocal position
        length = integer()
        position += length
        return bytes(message[position - length : position])

    assert integer() == 200
    text()
    answers = []
    while struct.unpack_from("!i", message, position)[0] != -1:
        text()  # request id
        content_type = text().decode()
        status = integer()
        text()  # phrase
        for _ in range(integer()):
            text(), text()
        answers.append((status, content_type, json.loads(text())))
    return answers


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive's files, flat, as TorchServe unpacks them."""
    folder = tmp_path_factory.mktemp("model")
    for name in ("handler/model-config.yaml", "model_store/mnist.pt", "model_store/mnist.onnx"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def worker(model_dir: Path) -> Worker:
    return Worker(model_dir)


@pytest.fixture(scope="module")
def expected(sample: Sample) -> Probabilities:
    """The ten digits' probabilities (500, 10) by plain PyTorch."""
    return oracle.probabilities(sample[0])


def test_answers_are_those_of_plain_pytorch(worker: Worker, sample: Sample, expected: Probabilities) -> None:
    for start in range(0, 500, 16):
        bodies = [json.dumps({"data": row.tolist()}).encode() for row in sample[0][start : start + 16]]
        answers = worker.predict(*map(request, bodies))
        assert len(answers) == len(bodies)
        for (status, content_type, answer), probabilities in zip(answers, expected[start : start + 16], strict=True):
            assert (status, content_type) == (200, "application/json")
            assert answer["prediction"] == probabilities.argmax()
            assert answer["confidence"] == pytest.approx(float(probabilities.max()), abs=1e-5)


def test_every_refusal_in_one_batch_with_good_neighbours(
    worker: Worker, sample: Sample, expected: Probabilities
) -> None:
    good = request(json.dumps({"data": sample[0][0].tolist()}).encode())
    refusals = [refusal for refusal in BAD_INPUTS if "form" not in refusal.name]
    batch = [item for refusal in refusals for item in (good, request(refusal.body, refusal.media_type or ""))]
    answers = worker.predict(*batch)
    for status, _, answer in answers[::2]:
        assert (status, answer["prediction"]) == (200, expected[0].argmax())
    for (status, content_type, answer), refusal in zip(answers[1::2], refusals, strict=True):
        assert (status, answer["code"], content_type) == (refusal.status, refusal.status, "application/json")
        assert refusal.words in answer["message"]


def test_a_batch_of_bad_requests_alone_is_answered(worker: Worker) -> None:
    assert [status for status, _, _ in worker.predict(request(b""), request(b"[]"))] == [400, 422]


@pytest.mark.parametrize("header", ["describe", "explain"])
def test_client_header_spoils_no_batch(worker: Worker, sample: Sample, header: str) -> None:
    body = json.dumps({"data": sample[0][0].tolist()}).encode()
    marked = {header: "True"}
    answers = worker.predict(request(body, **marked), request(body), request(b"", **marked))
    assert [status for status, _, _ in answers] == [200, 200, 400]
    assert answers[0][2] == answers[1][2]


def test_form_and_header_named_body_are_refused(worker: Worker, sample: Sample) -> None:
    body = json.dumps({"data": sample[0][0].tolist()}).encode()
    answers = worker.predict(request(None), request(body, body="text"), request(body))
    assert [status for status, _, _ in answers] == [415, 415, 200]


def test_management_api_gets_the_description(worker: Worker) -> None:
    [(status, _, description)] = worker.predict(request(None, describe="True"))
    assert status == 200
    assert description["name"] == "mnist"
    assert description["version"] == "1.0"
    assert description["classes"] == list(range(CLASSES))
    assert description["model"]["metrics"]["accuracy"] >= 0.99


@pytest.mark.parametrize("weights", [None, b"no weights at all"], ids=["missing", "broken"])
def test_unusable_weights_end_the_start_in_one_sentence(model_dir: Path, tmp_path: Path, weights: bytes | None) -> None:
    shutil.copytree(model_dir, tmp_path / "model")
    file = tmp_path / "model" / "mnist.onnx"
    file.unlink()
    if weights is not None:
        file.write_bytes(weights)
    with pytest.raises(RuntimeError, match=r"mnist\.onnx.*scripts/train"):
        Worker(tmp_path / "model")
