"""`?details=true`: what else an image might be, what the model saw, and which model it was; nothing else counts."""

import json
from collections.abc import Callable

import pytest
import requests
from mnist_torchserve.client import digits
from mnist_torchserve.contract import TIMEOUT
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.service import TorchServe
from tests.support import oracle
from tests.support.fixtures import Sample
from tests.support.pictures import picture, saved

Post = Callable[..., requests.Response]
DOORS = ["gateway", "node"]
IGNORED = [
    "details=false",
    "details=1",
    "details=",
    "body=1",
    "data=2",
    "describe=True",
    "explain=True",
    "details=true&body=1",
]


@pytest.fixture(scope="module", params=DOORS)
def post(request: pytest.FixtureRequest, gateway: Gateway, node: TorchServe) -> Post:
    """Asks with a query, at either port."""
    url = gateway.predict_url if request.param == "gateway" else node.predict_url

    def ask(query: str, body: bytes, media_type: str = "application/json") -> requests.Response:
        return requests.post(f"{url}?{query}", body, headers={"Content-Type": media_type}, timeout=TIMEOUT)

    return ask


def test_details_tell_all_probabilities_the_pixels_and_the_model(post: Post, sample: Sample) -> None:
    expected = oracle.probabilities(sample[0][:3])
    for pixels, probabilities in zip(sample[0][:3], expected, strict=True):
        for _ in range(2):  # the second comes from the cache
            body = saved(picture(digits.levels(pixels)))
            details = post("details=true", body, "image/png").json()
            plain = post("", body, "image/png")
            assert plain.content == b'{"prediction": %d, "confidence": %.6f}' % (
                details["prediction"],
                details["confidence"],
            )
            assert details["probabilities"] == pytest.approx(probabilities.tolist(), abs=1e-5)
            assert max(details["probabilities"]) == details["confidence"]
            assert details["pixels"] == digits.levels(pixels).tolist()
            assert details["model"] == {"name": "mnist", "version": "1.0"}


@pytest.mark.parametrize("query", IGNORED)
def test_no_other_parameter_changes_anything(post: Post, sample: Sample, query: str) -> None:
    body = json.dumps({"data": sample[0][0].tolist()}).encode()
    expected = post("details=true" if query.startswith("details=true") else "", body)
    assert post(query, body).content == expected.content


def test_refusals_and_several_images_have_no_details(post: Post, sample: Sample) -> None:
    several = json.dumps({"instances": [sample[0][0].tolist()]}).encode()
    for body in (b'{"data": [1]}', several):
        assert post("details=true", body).content == post("", body).content
