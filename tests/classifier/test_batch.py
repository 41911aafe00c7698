"""What any body gets: a short answer from the contract's table, and nothing for its neighbours."""

import json

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from classifier import batch
from classifier.types import PIXELS, REASONS, Model, Request, Response
from mnist_torchserve.contract import CLASSES
from tests.support.bodies import MEDIA_TYPES, bodies

MAX_RESPONSE = 32_768  # bytes: half of max_response_size, beyond which TorchServe ends the worker
MODEL = Model("mnist", "1.0")
GOOD = Request(json.dumps({"data": [0.5] * PIXELS}).encode(), "application/json")


def respond(*requests: Request) -> list[Response]:
    read = batch.read(requests, MODEL)
    assert ((read.pixels >= 0) & (read.pixels <= 1)).all()
    return read.responses(np.full((len(read.pixels), CLASSES), 0.1, np.float32))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(bodies, st.sampled_from(MEDIA_TYPES) | st.text(max_size=100))
@example(b'{"inputs":"\xff"}', "application/json")
@example(b'{"instances":["\\ud800"]}', "application/json")
@example(b'{"inputs": [], "id": "\\ud800"}', "application/json")
@example(b'{"instances": [' + b"1" * 400 + b"]}", "application/json")
@example(json.dumps({"inputs": [{"shape": [1] * 11_000, "datatype": "FP32", "data": []}]}).encode(), "")
@example(json.dumps({"inputs": [{"shape": [1, PIXELS], "datatype": "x" * 33_000, "data": []}]}).encode(), "")
@example(
    json.dumps(
        {
            "inputs": [{"shape": [1, PIXELS], "datatype": "UINT8", "data": [0] * PIXELS}],
            "outputs": [{"name": "error"}] * 3_500,
        }
    ).encode(),
    "application/json",
)
def test_any_bytes_get_a_short_answer_from_the_table_and_harm_nobody(body: bytes, media_type: str) -> None:
    good, response, again = respond(GOOD, Request(body, media_type), GOOD)
    assert good == again == (200, b'{"prediction": 0, "confidence": 0.100000}')
    assert response.status in {200, *REASONS.values()} - {500}
    assert len(response.body) <= MAX_RESPONSE
    document = json.loads(response.body.decode())
    if response.status != 200:
        assert document["code"] == response.status
        assert document["message"].isprintable()


def test_largest_answers_fit() -> None:
    refused = [[2.0] * PIXELS] * 63 + [[0.0] * PIXELS]
    for document in (
        {"instances": [{"data": image} for image in refused]},
        {"instances": [[-1e308] * PIXELS] * 63 + [[0.0] * PIXELS]},
        {"id": "é" * 128, "inputs": [{"shape": [64, PIXELS], "datatype": "FP32", "data": refused}]},
    ):
        [response] = respond(Request(json.dumps(document).encode(), "application/json"))
        assert response.status == 200
        assert MAX_RESPONSE / 4 < len(response.body) <= MAX_RESPONSE


def test_what_is_repeated_of_a_client_is_short_and_escaped() -> None:
    tensor = {"shape": [1, PIXELS], "datatype": "FP32", "data": []}
    for document, place in (
        ({"inputs": [{**tensor, "datatype": "\x1b[31m" + "ü" * 500}]}, "at `$.inputs[0].datatype`"),
        ({"inputs": [{**tensor, "shape": [7] * 500}]}, "at `$.inputs[0].shape`"),
        ({"inputs": [{**tensor, "shape": [10**4000]}]}, "at `$.inputs[0].shape`"),
        ({"inputs": [tensor], "id": "x" * 500}, "at `$.id`"),
        ({"inputs": [tensor], "outputs": [{"name": "\n" * 500}]}, "at `$.outputs[0].name`"),
    ):
        [response] = respond(Request(json.dumps(document).encode(), "application/json"))
        message = json.loads(response.body)["message"]
        assert response.status == 422
        assert place in message
        assert message.isascii()
        assert len(message) < 250
