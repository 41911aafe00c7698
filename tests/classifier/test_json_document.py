"""In which encodings a JSON body may come, whichever reader it is for, and that null is as good as nothing."""

import json
from typing import Any

import numpy as np
import pytest
from classifier import batch
from classifier.types import PIXELS, Model, Request
from mnist_torchserve.contract import CLASSES

GREY = [0.5] * PIXELS
NAN = [float("nan"), *GREY[1:]]
TENSOR = {"name": "pixels", "shape": [2, PIXELS], "datatype": "FP32"}
BINARY = {"name": "pixels", "shape": [1, PIXELS], "datatype": "UINT8", "parameters": {"binary_data_size": PIXELS}}
DOCUMENTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "one image": ({"data": GREY}, {"data": NAN}),
    "V1": ({"instances": [GREY, GREY]}, {"instances": [NAN, GREY]}),
    "V2": ({"inputs": [{**TENSOR, "data": GREY * 2}]}, {"inputs": [{**TENSOR, "data": NAN + GREY}]}),
}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


def respond(body: bytes, media_type: str = "application/json") -> tuple[int, Any]:
    read = batch.read([Request(body, media_type)], Model("mnist", "1.0"))
    [response] = read.responses(np.full((len(read.pixels), CLASSES), 0.1, np.float32))
    return int(response.status), json.loads(response.body)


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("before", "after"), [("", ""), (" ", ""), ("\r\n\t", ""), ("", "\n"), (" ", " \r\n")])
def test_encoding_and_white_space_change_no_answer(name: str, encoding: str, before: str, after: str) -> None:
    for document in DOCUMENTS[name]:
        text = json.dumps(document)
        assert respond((before + text + after).encode(encoding)) == respond(text.encode())
    assert respond(json.dumps(DOCUMENTS[name][0]).encode())[0] == 200
    assert "got nan - at" in str(respond(json.dumps(DOCUMENTS[name][1]).encode())[1])


@pytest.mark.parametrize("media_type", ["application/json", "application/octet-stream", ""])
@pytest.mark.parametrize("before", ["", "\ufeff", " \n", "\ufeff\t"])
def test_binary_tensors_follow_json_with_anything_before_it(media_type: str, before: str) -> None:
    for level in (0, 255):  # 0xff is in no UTF-8
        body = (before + json.dumps({"inputs": [BINARY]})).encode() + bytes([level]) * PIXELS
        status, document = respond(body, media_type)
        assert (status, document["outputs"][0]["data"]) == (200, [0])


@pytest.mark.parametrize("encoding", ENCODINGS[1:])
def test_half_of_an_encoding_is_no_json(encoding: str) -> None:
    status, document = respond(json.dumps({"data": GREY}).encode(encoding)[:-1])
    assert (status, document["code"]) == (400, 400)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_null_is_as_good_as_nothing(name: str) -> None:
    document = DOCUMENTS[name][0]
    nothing = dict.fromkeys(("data", "instances", "inputs", "outputs", "id", "parameters"))
    assert respond(json.dumps({**nothing, **document}).encode()) == respond(json.dumps(document).encode())


@pytest.mark.parametrize("document", [{}, {"image": GREY}, {"parameters": None}, {"Data": GREY}])
def test_document_without_a_known_name_is_told_all_of_them(document: Any) -> None:
    status, error = respond(json.dumps(document).encode())
    assert status == 422
    for name in ("`data`", "`instances`", "`inputs`"):
        assert name in error["message"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"data": None}, "`$.data`"),
        ({"instances": None, "inputs": None}, "`$.instances`"),
        ({"inputs": None}, "`$.inputs`"),
    ],
)
def test_null_alone_is_refused_where_it_stands(document: Any, words: str) -> None:
    status, error = respond(json.dumps(document).encode())
    assert status == 422
    assert f"Expected `array`, got `null` - at {words}" in error["message"]
