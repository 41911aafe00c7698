"""The service from outside, at both of its faces: ours, or the deployed one that API_BASE_URL names."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from mnist_torchserve.client import digits
from mnist_torchserve.contract import (
    BAD_INPUTS,
    CLASSES,
    MAX_BODY,
    TIMEOUT,
    BadInput,
    Deployment,
    blank,
    model,
    reads_digits,
)
from tests.support.fixtures import Sample
from tests.support.pictures import saved

of_mnist = pytest.mark.skipif(not reads_digits(), reason=f"of MNIST's model, and API_MODEL names {model()}")
MOST_CLASSES = CLASSES if reads_digits() else 100


def test_root_answers(deployment: Deployment) -> None:
    response = requests.get(deployment.root, timeout=TIMEOUT)
    assert response.status_code == 200
    assert response.json() == deployment.welcome


def test_health_tells_of_a_ready_worker(deployment: Deployment) -> None:
    if deployment.health is None:
        pytest.skip("API_BASE_URL is set and API_MANAGEMENT_URL is not: no health endpoint to ask")
    answer = requests.get(deployment.health, timeout=TIMEOUT)
    assert answer.status_code == 200
    assert deployment.is_healthy(answer.json())


@of_mnist
def test_describe_tells_what_the_model_is(deployment: Deployment) -> None:
    if deployment.description is None:
        pytest.skip("the management API alone tells it, which no gateway shows")
    response = requests.get(deployment.description, timeout=TIMEOUT)
    description = response.json()[0]["customizedMetadata"]
    assert description["name"] == "mnist"
    assert description["version"] == "1.0"
    assert description["classes"] == list(range(CLASSES))
    assert "784 numbers" in description["input"]["application/json"]["data"]
    assert description["model"]["metrics"]["accuracy"] >= 0.99


@of_mnist
def test_real_digits_are_recognised(deployment: Deployment, sample: Sample) -> None:
    pixels, labels = sample
    wrong = []
    for index in range(10):
        answer = deployment.predict_json({"data": pixels[index].tolist()}).json()
        if answer["prediction"] != labels[index]:
            wrong.append((index, int(labels[index]), answer))
    assert len(wrong) <= 1, f"wrong: {wrong}"


def test_valid_payload_gets_prediction_and_confidence(deployment: Deployment, sample: Sample) -> None:
    response = deployment.predict_json({"data": sample[0][0].tolist()})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    answer = response.json()
    assert set(answer) - {"label"} == {"prediction", "confidence"}
    assert not reads_digits() or "label" not in answer
    assert type(answer["prediction"]) is int
    assert type(answer["confidence"]) is float
    assert answer["prediction"] in range(MOST_CLASSES)
    assert 0 <= answer["confidence"] <= 1


@pytest.mark.parametrize("value", [0, 1, 0.5], ids=["zeros", "ones", "grey"])
def test_constant_images_are_answered(deployment: Deployment, value: float) -> None:
    response = deployment.predict_json(blank(value))
    assert response.status_code == 200
    assert response.json()["prediction"] in range(MOST_CLASSES)


def test_consecutive_predictions_agree(deployment: Deployment, sample: Sample) -> None:
    payload = {"data": sample[0][0].tolist()}
    answers = [deployment.predict_json(payload).json() for _ in range(5)]
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "APPLICATION/JSON", None])
def test_json_is_read_under_every_name_that_it_goes_by(deployment: Deployment, media_type: str | None) -> None:
    assert deployment.post(json.dumps(blank()), media_type).status_code == 200


@pytest.mark.parametrize("encoding", ["uint8", "float32"])
def test_binary_payload_gets_the_answer_of_its_json(deployment: Deployment, sample: Sample, encoding: str) -> None:
    pixels = sample[0][1]
    sent = digits.levels(pixels) if encoding == "uint8" else pixels.astype("<f4")
    answer = deployment.post(sent.tobytes(), "application/octet-stream").json()
    assert answer == deployment.predict_json({"data": pixels.tolist()}).json()


@of_mnist
@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg"])
@pytest.mark.parametrize("paper", ["black", "white"])
def test_image_gets_the_answer_of_its_pixels(
    deployment: Deployment, sample: Sample, media_type: str, paper: str
) -> None:
    levels = digits.levels(sample[0][1])
    file = saved(255 - levels if paper == "white" else levels, media_type.removeprefix("image/"))
    answer = deployment.post(file, media_type).json()
    expected = deployment.predict_json({"data": sample[0][1].tolist()}).json()
    assert answer == (expected if media_type == "image/png" else pytest.approx(expected, abs=0.01))


@pytest.mark.parametrize("refusal", BAD_INPUTS, ids=str)
def test_bad_input_is_refused_with_its_reason(deployment: Deployment, refusal: BadInput) -> None:
    response = deployment.post(refusal.body, refusal.media_type)
    assert response.status_code == refusal.status
    assert response.headers["Content-Type"] == "application/json"
    error = response.json()
    assert set(error) - {"error"} == {"code", "type", "message"}, "and where KServe's clients look, if it is theirs"
    assert error["code"] == refusal.status
    assert refusal.words in error["message"]


def test_body_over_the_limit_is_refused(deployment: Deployment) -> None:
    assert deployment.post(b" " * (MAX_BODY + 1)).status_code == 413


def test_unknown_path_is_refused(deployment: Deployment) -> None:
    response = requests.post(deployment.predict + "-of-another-kind", json={"data": []}, timeout=TIMEOUT)
    assert response.status_code == 404
    assert response.json()["code"] == 404


@pytest.mark.parametrize("header", ["describe", "explain"])
def test_client_header_does_not_change_the_answer(deployment: Deployment, sample: Sample, header: str) -> None:
    payload = {"data": sample[0][0].tolist()}
    response = deployment.post(json.dumps(payload), headers={header: "True"})
    assert response.json() == deployment.predict_json(payload).json()


def test_bad_neighbours_do_no_harm(deployment: Deployment, sample: Sample) -> None:
    """Good and bad requests at the same time, so that they share batches."""
    pixels, _ = sample
    expected = [deployment.predict_json({"data": row.tolist()}).json() for row in pixels[:32]]

    def good(index: int) -> Any:
        return deployment.predict_json({"data": pixels[index].tolist()}).json()

    def bad(index: int) -> bool:
        refusal = BAD_INPUTS[index % len(BAD_INPUTS)]
        return bool(deployment.post(refusal.body, refusal.media_type).status_code == refusal.status)

    with ThreadPoolExecutor(32) as pool:
        answers = [pool.submit(good, index) for index in range(32)]
        refusals = [pool.submit(bad, index) for index in range(64)]
    assert [answer.result() for answer in answers] == expected
    assert all(refusal.result() for refusal in refusals)
