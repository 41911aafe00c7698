"""Which reader takes a request, by its media type and its top-level key; and that no request harms its neighbours."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from classifier import batch
from classifier.types import MAX_BODY, PIXELS, SIDE, Model, Request
from mnist_torchserve.contract import CLASSES
from tests.support.json_values import json_values

MODEL = Model("mnist", "1.0")
V1 = json.dumps({"instances": [[0.5] * PIXELS] * 2}).encode()
V2 = json.dumps({"inputs": [{"name": "x", "shape": [1, PIXELS], "datatype": "FP32", "data": [0.5] * PIXELS}]}).encode()
TENSOR = {"name": "x", "shape": [1, PIXELS], "datatype": "UINT8", "parameters": {"binary_data_size": PIXELS}}
BINARY_V2 = json.dumps({"inputs": [TENSOR]}).encode() + bytes(PIXELS)


def respond(body: bytes, media_type: str) -> tuple[int, Any]:
    read = batch.read([Request(body, media_type)], MODEL)
    [response] = read.responses(np.full((len(read.pixels), CLASSES), 0.1, np.float32))
    return int(response.status), json.loads(response.body)


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8", ""])
@pytest.mark.parametrize("body", [V1, V2, BINARY_V2, b" \n" + V1 + b"\n", b"\t" + V2, b" " + BINARY_V2])
def test_protocols_are_read_as_json_with_white_space_around(body: bytes, media_type: str) -> None:
    status, document = respond(body, media_type)
    assert status == 200
    assert len(document.get("predictions", document.get("outputs"))) in (2, 3)


@pytest.mark.parametrize("body", [BINARY_V2, b"\r\n" + BINARY_V2])
def test_binary_tensors_are_read_as_bytes_too(body: bytes) -> None:
    """As Triton's documentation sends them; its clients name no media type."""
    status, document = respond(body, "application/octet-stream")
    assert status == 200
    assert document["outputs"][0]["data"] == [0]


@pytest.mark.parametrize(
    ("media_type", "status"),
    [("text/plain", 415), ("image/png", 400), ("image/jpeg", 400), ("application/xml", 415), ("multipart/mixed", 415)],
)
@pytest.mark.parametrize("body", [V1, V2, BINARY_V2])
def test_media_type_is_honoured_whatever_the_body_is(body: bytes, media_type: str, status: int) -> None:
    refused, document = respond(body, media_type)
    assert (refused, document["code"]) == (status, status)


@pytest.mark.parametrize("body", [V1, b'{"instances": [', b'{"data": []}', b"{}", b"{" + bytes(PIXELS)])
def test_bytes_of_another_length_are_refused_as_bytes(body: bytes) -> None:
    status, document = respond(body, "application/octet-stream")
    assert status == 422
    assert document["message"].startswith("Expected 784 bytes (uint8, 0 to 255) or 3136 bytes")


def test_data_stands_above_the_protocols() -> None:
    both = {"data": [0.5] * PIXELS, "instances": [], "inputs": []}
    assert respond(json.dumps(both).encode(), "application/json") == (200, {"prediction": 0, "confidence": 0.1})
    status, document = respond(V1 + BINARY_V2, "application/json")
    assert (status, document["code"]) == (400, 400), "nothing may follow a document but V2's tensors"


@pytest.mark.parametrize("count", [1, 64])
def test_as_many_images_as_are_promised_are_answered(count: int) -> None:
    several = [[0] * PIXELS] * count
    assert respond(json.dumps({"instances": several}).encode(), "application/json")[0] == 200
    tensor = {"name": "x", "shape": [count, PIXELS], "datatype": "UINT8", "data": several}
    assert respond(json.dumps({"inputs": [tensor]}).encode(), "application/json")[0] == 200


@pytest.mark.parametrize("size", [783, 785, 3135, 3133])
def test_binary_tensor_of_broken_bytes_is_refused(size: int) -> None:
    tensor = {"name": "x", "shape": [1, PIXELS], "datatype": "FP32", "parameters": {"binary_data_size": size}}
    status, document = respond(json.dumps({"inputs": [tensor]}).encode() + bytes(size), "application/json")
    assert status == 422
    assert f"`binary_data_size`, {size}," in document["error"]


images = st.builds(
    lambda numbers, length: (numbers * PIXELS)[:length], st.lists(json_values, min_size=1, max_size=3), st.just(PIXELS)
)
tensors_ = st.fixed_dictionaries(
    {"shape": st.sampled_from([[1, PIXELS], [PIXELS], [1, SIDE, SIDE]]) | json_values},
    optional={
        "datatype": st.sampled_from(["FP32", "UINT8"]) | json_values,
        "data": images | json_values,
        "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(0, 3136) | json_values}) | json_values,
    },
)
documents = st.dictionaries(st.sampled_from(["id", "outputs", "parameters"]), json_values, max_size=1)


@given(
    documents,
    st.tuples(st.just("instances"), st.lists(images | json_values, max_size=3) | json_values)
    | st.tuples(st.just("inputs"), st.lists(tensors_, max_size=2) | json_values),
    st.sampled_from([b"", b"\0" * PIXELS, b"}", b"\xff"]),
)
def test_any_request_is_answered_or_refused_and_harms_no_neighbour(
    document: dict[str, Any], member: tuple[str, Any], rest: bytes
) -> None:
    body = json.dumps(document | dict([member])).encode() + rest
    neighbour = Request(np.full(PIXELS, 128, np.uint8).tobytes(), "application/octet-stream")
    found = batch.read([neighbour, Request(body, "application/json"), neighbour], MODEL)
    np.testing.assert_array_equal(found.pixels[[0, 2]], np.float32(128 / 255))
    assert ((found.pixels >= 0) & (found.pixels <= 1)).all()
    assert found.groups.keys() <= {1}
    assert found.refusals.keys() <= {1, *range(3, len(found.pixels))}
    first, second, third = found.responses(np.full((len(found.pixels), CLASSES), 0.1, np.float32))
    assert first == third == (200, b'{"prediction": 0, "confidence": 0.100000}')
    assert second.status in (200, 400, 422)
    assert ("message" in json.loads(second.body)) is (second.status != 200)


LARGE = json.dumps({"instances": [[0.123456789012345] * PIXELS] * 6})
LARGE_BINARY = {
    **TENSOR,
    "shape": [64, PIXELS],
    "datatype": "FP64",
    "parameters": {"binary_data_size": 64 * PIXELS * 8},
}


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (LARGE.encode(), "application/json", 200),
        (LARGE.encode(), "", 200),
        (LARGE.encode("utf-16"), "application/json; charset=utf-16", 200),
        (json.dumps({"inputs": [LARGE_BINARY]}).encode() + bytes(64 * PIXELS * 8), "application/octet-stream", 200),
        (LARGE[:-1].encode(), "application/json", 400),
        (LARGE.encode(), "text/plain", 415),
        (LARGE.encode(), "application/octet-stream", 413),
        (json.dumps({"data": [0.0] * PIXELS, "more": "x" * MAX_BODY}).encode(), "application/json", 413),
        (json.dumps({"data": [0.0] * PIXELS, "instances": ["x" * MAX_BODY]}).encode(), "application/json", 413),
        (json.dumps({"x": '"instances"' * MAX_BODY}).encode(), "application/json", 413),
        (b" " * (MAX_BODY + 1), "application/json", 413),
        (bytes(MAX_BODY + 1), "application/octet-stream", 413),
        (b"\x89PNG\r\n\x1a\n" + bytes(MAX_BODY), "image/png", 413),
        (b"\xff\xd8\xff" + bytes(MAX_BODY), "image/jpeg", 413),
        (b"\x89PNG\r\n\x1a\n" + bytes(MAX_BODY), "", 413),
    ],
)
def test_several_images_alone_may_be_large(body: bytes, media_type: str, status: int) -> None:
    assert len(body) > MAX_BODY
    found, document = respond(body, media_type)
    assert found == status
    if status == 413:
        assert f"at most {MAX_BODY} bytes of one image, got {len(body)} - in the body" in document["message"]
        assert "error" not in document, "whose protocol it is the gateway knows"
