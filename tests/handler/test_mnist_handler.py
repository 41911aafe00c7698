"""The handler inside TorchServe's own Python: requests and answers in its real message format, without Java."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from classifier.network import DigitNetwork
from mnist_torchserve.contract import BAD_INPUTS, BadInput
from mnist_torchserve.project import ROOT
from tests.support.fixtures import Sample
from tests.support.worker import Worker, request


@pytest.fixture(scope="module")
def expected(sample: Sample) -> NDArray[np.float32]:
    """The ten digits' probabilities (500, 10) by plain PyTorch."""
    network = DigitNetwork()
    saved = torch.load(ROOT / "model_store" / "mnist.pt", weights_only=True)
    network.load_state_dict(saved["state_dict"])
    with torch.inference_mode():
        probabilities: NDArray[np.float32] = network.eval()(torch.from_numpy(sample[0])).softmax(1)[:, :10].numpy()
    return probabilities


def test_answers_are_those_of_plain_pytorch(worker: Worker, sample: Sample, expected: NDArray[np.float32]) -> None:
    for start in range(0, 500, 16):
        bodies = [json.dumps({"data": row.tolist()}).encode() for row in sample[0][start : start + 16]]
        answers = worker.predict(*map(request, bodies))
        assert len(answers) == len(bodies)
        for (status, content_type, answer), probabilities in zip(answers, expected[start : start + 16], strict=True):
            assert (status, content_type) == (200, "application/json")
            assert answer["prediction"] == probabilities.argmax()
            assert answer["confidence"] == pytest.approx(float(probabilities.max()), abs=1e-5)


def test_every_refusal_in_one_batch_with_good_neighbours(
    worker: Worker, sample: Sample, expected: NDArray[np.float32]
) -> None:
    good = request(json.dumps({"data": sample[0][0].tolist()}).encode())
    refusals = [refusal for refusal in BAD_INPUTS if "form" not in refusal.name]
    batch = [item for refusal in refusals for item in (good, request(refusal.body, refusal.media_type or ""))]
    answers = worker.predict(*batch)
    for status, _, answer in answers[::2]:
        assert (status, answer["prediction"]) == (200, expected[0].argmax())
    for (status, content_type, answer), refusal in zip(answers[1::2], refusals, strict=True):
        _assert_refused(refusal, status, content_type, answer)


def _assert_refused(refusal: BadInput, status: int, content_type: str, answer: Any) -> None:
    assert (status, answer["code"], content_type) == (refusal.status, refusal.status, "application/json")
    assert refusal.words in answer["message"]


def test_a_batch_of_bad_requests_alone_is_answered(worker: Worker) -> None:
    assert [status for status, _, _ in worker.predict(request(b""), request(b"[]"))] == [400, 422]


@pytest.mark.parametrize("header", ["describe", "explain"])
def test_client_header_spoils_no_batch(worker: Worker, sample: Sample, header: str) -> None:
    body = json.dumps({"data": sample[0][0].tolist()}).encode()
    answers = worker.predict(
        request(body, headers={header: "True"}), request(body), request(b"", headers={header: "True"})
    )
    assert [status for status, _, _ in answers] == [200, 200, 400]
    assert answers[0][2] == answers[1][2]


def test_form_and_header_named_body_are_refused(worker: Worker, sample: Sample) -> None:
    body = json.dumps({"data": sample[0][0].tolist()}).encode()
    answers = worker.predict(request(None), request(body, headers={"body": "text"}), request(body))
    assert [status for status, _, _ in answers] == [415, 415, 200]


def test_management_api_gets_the_description(worker: Worker) -> None:
    [(status, _, description)] = worker.predict(request(None, headers={"describe": "True"}))
    assert status == 200
    assert description["name"] == "mnist"
    assert description["version"] == "1.0"
    assert description["classes"] == list(range(10))
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
