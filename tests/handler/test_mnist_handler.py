"""The handler inside TorchServe's own Python: requests and answers in its real message format, without Java."""

import gzip
import json
import shutil
import zlib
from pathlib import Path

import pytest
from classifier.types import Probabilities
from mnist_torchserve.contract import BAD_INPUTS, CLASSES
from tests.support import oracle
from tests.support.fixtures import Sample
from tests.support.worker import Worker, describe, form, request


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
    answers = worker.predict(form(data=body), request(body, body="text"), request(body))
    assert [status for status, _, _ in answers] == [415, 415, 200]


@pytest.mark.parametrize("name", ["content-encoding", "Content-Encoding"])
def test_compressed_body_is_read_as_its_header_says(worker: Worker, sample: Sample, name: str) -> None:
    body = json.dumps({"data": sample[0][0].tolist()}).encode()
    several = gzip.compress(json.dumps({"instances": sample[0][:16].tolist()}).encode())
    plain, *answers = worker.predict(
        request(body),
        request(gzip.compress(body), **{name: "gzip"}),
        request(zlib.compress(body), **{name: "Deflate"}),
        request(body, **{name: "gzip"}),  # which it is not
        request(gzip.compress(body)),
        request(gzip.compress(body), **{name: "br"}),
        request(several, **{name: "gzip"}),
        request(several, **{name: "gzip", "x-one-image": "true"}),
    )
    assert [status for status, _, _ in answers] == [200, 200, 200, 400, 415, 200, 413]
    assert [answer for _, _, answer in answers[:3]] == [plain[2]] * 3


def test_client_gets_no_description(worker: Worker) -> None:
    for headers in ({}, {"describe": "True"}):
        [(status, _, error)] = worker.predict(request(None, **headers))
        assert (status, error["code"]) == (400, 400)


def test_management_api_gets_the_description(worker: Worker) -> None:
    [(status, _, description)] = worker.predict(describe())
    assert status == 200
    assert description["name"] == "mnist"
    assert description["version"] == "1.0"
    assert description["classes"] == list(range(CLASSES))
    assert description["model"]["metrics"]["accuracy"] >= 0.99


def test_withdrawn_worker_calls_itself_unhealthy_and_goes_on_answering(
    worker: Worker, model_dir: Path, sample: Sample
) -> None:
    (model_dir / "withdrawn").touch()
    try:
        assert worker.code(describe()) == 503
        [(status, _, _)] = worker.predict(request(json.dumps({"data": sample[0][0].tolist()}).encode()))
        assert status == 200
    finally:
        (model_dir / "withdrawn").unlink()
    [(status, _, _)] = worker.predict(describe())
    assert status == 200


@pytest.mark.parametrize("weights", [None, b"no weights at all"], ids=["missing", "broken"])
def test_unusable_weights_end_the_start_in_one_sentence(model_dir: Path, tmp_path: Path, weights: bytes | None) -> None:
    shutil.copytree(model_dir, tmp_path / "model")
    file = tmp_path / "model" / "mnist.onnx"
    file.unlink()
    if weights is not None:
        file.write_bytes(weights)
    with pytest.raises(RuntimeError, match=r"mnist\.onnx.*scripts/train"):
        Worker(tmp_path / "model")
