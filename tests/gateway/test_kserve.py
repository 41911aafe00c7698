"""What clients of KServe's protocols meet at the gateway: Triton's, from PyPI, and what KServe's own one sends."""

import base64
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from tritonclient.http import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException
from mnist_torchserve.contract import MAX_BODY, PIXELS, TIMEOUT
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.service import read_properties
from tests.support.gateway_client import ask, assert_error, assert_refused, predict

RECORDED = json.loads(Path(__file__).with_name("kserve_requests.json").read_text())["requests"]
V1, V2 = "/v1/models/mnist:predict", "/v2/models/mnist/infer"
PREDICT = [V1, V2, "/v2/models/mnist/versions/1.0/infer"]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MAX_LARGE_BODY = int(read_properties()["max_request_size"])
# The longest floats that Python writes of what a picture holds.
LONG = {"instances": [[(1 + index) * 1.2345678901234567e-05 for index in range(PIXELS)]] * 64}


@pytest.fixture(scope="module")
def triton(gateway: Gateway) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(str(gateway.settings.listen), network_timeout=TIMEOUT) as client:
        yield client


def tensor(count: int = 1) -> InferInput:
    tensor = InferInput("pixels", [count, PIXELS], "FP32")
    tensor.set_data_from_numpy(np.zeros((count, PIXELS), np.float32))
    return tensor


@pytest.mark.parametrize("sent", RECORDED, ids=lambda sent: f"{sent['path']} {sent['headers']['content-type']}")
def test_kserves_own_client_is_answered(gateway: Gateway, sent: dict[str, Any]) -> None:
    body = base64.b64decode(sent["body"])
    answer = requests.post(gateway.url + sent["path"], data=body, headers=sent["headers"], timeout=TIMEOUT)
    assert answer.status_code == 200
    document = answer.json()
    if sent["path"] == V1:
        assert document["predictions"][0]["prediction"] == 1
    else:
        assert document["id"] == "7"
        assert document["outputs"][0]["data"] == [1]


def test_version_in_the_metadata_may_be_asked_for(triton: InferenceServerClient) -> None:
    metadata = triton.get_model_metadata("mnist")
    assert triton.get_model_metadata("mnist", "1.0") == metadata
    for version in metadata["versions"]:
        assert triton.is_model_ready("mnist", version)
        answer = triton.infer("mnist", [tensor()], model_version=version).get_response()
        assert answer["model_version"] == version
    assert not triton.is_model_ready("mnist", "2.0")
    with pytest.raises(InferenceServerException, match="Correct the path") as caught:
        triton.infer("mnist", [tensor()], model_version="2.0")
    assert caught.value.status() == "404"


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_compressed_request_gets_the_same_answer(triton: InferenceServerClient, compression: str) -> None:
    expected = triton.infer("mnist", [tensor(64)]).get_response()
    asked = triton.infer("mnist", [tensor(64)], request_compression_algorithm=compression)
    assert asked.get_response() == expected


@pytest.mark.parametrize("path", PREDICT)
def test_refusal_tells_its_reason_where_these_clients_look(gateway: Gateway, path: str) -> None:
    url = gateway.url + path
    for method, body, headers, status in (
        ("POST", b'{"inputs"', {}, 400),
        ("POST", b"", {"Content-Encoding": "gzip"}, 400),
        ("GET", b"", {}, 405),
        ("POST", b" " * (MAX_BODY + 1), {}, 413),
        ("POST", b" " * (MAX_LARGE_BODY + 1), {}, 413),
        ("POST", gzip.compress(b" " * (MAX_LARGE_BODY + 1)), {"Content-Encoding": "gzip"}, 413),
        ("POST", b"a=1", FORM, 415),
        ("POST", b"{}", {"Content-Encoding": "br"}, 415),
        ("POST", b"{}", {"Content-Type": "text/plain"}, 415),
        ("POST", b'{"data": []}', {}, 422),
    ):
        refused = requests.request(method, url, data=body, headers=headers, timeout=TIMEOUT)
        assert_refused(refused, status, kserve=True)


@pytest.mark.parametrize("path", ["/v1", "/v1/models/other", "/v2/models/other/infer", '/v2/"error":'])
def test_unknown_path_tells_its_reason_where_these_clients_look(gateway: Gateway, path: str) -> None:
    assert_error(*ask(gateway, "GET", path), 404, kserve=True)
    for known in ("/v1/models", "/v1/models/mnist", "/v2", "/v2/health/live", "/v2/models/mnist/versions/1.0/ready"):
        assert_refused(requests.post(gateway.url + known, timeout=TIMEOUT), 405, kserve=True)


def test_triton_reports_the_reason(triton: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match=r"`POST /v2/models/other/infer`.*Correct the path") as caught:
        triton.infer("other", [tensor()])
    assert caught.value.status() == "404"
    with pytest.raises(InferenceServerException, match="`GET /v2/models/other`"):
        triton.get_model_metadata("other")


def test_sixty_four_images_are_answered_with_all_the_digits_that_python_writes(gateway: Gateway) -> None:
    body = json.dumps(LONG).encode()
    assert 2**20 < len(body) < MAX_LARGE_BODY
    for sent, headers in ((body, {}), (gzip.compress(body), {"Content-Encoding": "gzip"})):
        answer = requests.post(gateway.url + V1, data=sent, headers=headers, timeout=TIMEOUT)
        assert answer.status_code == 200
        assert len(answer.json()["predictions"]) == 64


def test_one_image_has_no_more_room_by_another_route(gateway: Gateway) -> None:
    body = json.dumps({"data": [0.0] * PIXELS, "more": "x" * MAX_BODY})
    for path in PREDICT:
        assert_refused(requests.post(gateway.url + path, data=body, timeout=TIMEOUT), 413, kserve=True)
        picture = requests.post(
            gateway.url + path, data=bytes(MAX_BODY + 1), headers={"Content-Type": "image/png"}, timeout=TIMEOUT
        )
        assert_refused(picture, 413, kserve=True)


def test_large_requests_keep_nobody_waiting(gateway: Gateway) -> None:
    """More of them at once than the gateway lets through, beside single images with the usual deadline."""
    body = json.dumps(LONG).encode()

    def ask(number: int) -> int:
        if number % 2:
            return predict(gateway).status_code
        return -requests.post(gateway.url + V1, data=body, timeout=TIMEOUT).status_code

    with ThreadPoolExecutor(100) as pool:
        statuses = Counter(pool.map(ask, range(200)))
    assert statuses[200] == 100
    assert statuses.keys() <= {200, -200, -503}
    assert statuses[-200] >= 32
