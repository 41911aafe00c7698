"""The tensors of KServe's V2: every type of number that NumPy and pandas make by themselves."""

import json
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from classifier import batch
from classifier.types import PIXELS, Model, Pixels, Refusal, Request

LEVELS = np.arange(2 * PIXELS).reshape(2, PIXELS) % 128  # which all integers hold
FLOATS = {"FP16": np.float16, "FP32": np.float32, "FP64": np.float64}
INTEGERS = {"UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64}
INTEGERS |= {"INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64}
WIDE = [name for name in INTEGERS if name not in ("UINT8", "INT8")]
KNOWN = [*FLOATS, *INTEGERS]


def body(datatype: str, values: NDArray[Any], binary: bool, **more: Any) -> bytes:
    tensor: dict[str, Any] = {"name": "pixels", "shape": list(values.shape), "datatype": datatype, **more}
    if not binary:
        return json.dumps({"inputs": [{**tensor, "data": values.tolist()}]}).encode()
    sent = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": len(sent)}}]}).encode() + sent


def read(sent: bytes) -> tuple[Pixels, dict[int, Refusal]]:
    found = batch.read([Request(sent, "application/json")], Model("mnist", "1.0"))
    return found.pixels, found.refusals


@pytest.mark.parametrize("binary", [False, True], ids=["JSON", "binary"])
@pytest.mark.parametrize("datatype", INTEGERS)
def test_every_integer_is_a_grey_level(datatype: str, binary: bool) -> None:
    pixels, refusals = read(body(datatype, LEVELS.astype(INTEGERS[datatype]), binary))
    assert not refusals
    np.testing.assert_array_equal(pixels, LEVELS.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(
    ("datatype", "binary"), [("FP16", True), ("FP32", True), ("FP32", False), ("FP64", True), ("FP64", False)]
)
def test_every_float_is_from_0_to_1(datatype: str, binary: bool) -> None:
    values = (LEVELS / 127).astype(FLOATS[datatype])
    pixels, refusals = read(body(datatype, values, binary))
    assert not refusals
    np.testing.assert_array_equal(pixels, values.astype(np.float32))


@pytest.mark.parametrize("binary", [False, True], ids=["JSON", "binary"])
@pytest.mark.parametrize(
    ("datatype", "level"), [*product(WIDE, [256, 32_767]), *product(["INT8", "INT16", "INT32", "INT64"], [-1])]
)
def test_integer_beyond_a_grey_level_refuses_its_image_alone(datatype: str, binary: bool, level: int) -> None:
    values = LEVELS.astype(INTEGERS[datatype])
    values[1, 5] = level
    pixels, refusals = read(body(datatype, values, binary))
    np.testing.assert_array_equal(pixels[0], LEVELS[0].astype(np.float32) / np.float32(255))
    assert list(refusals) == [1]
    assert f"Expected a number from 0 to 255, got {level} - at `$.inputs[0].data[1][5]`" in str(refusals[1])


@pytest.mark.parametrize(
    ("datatype", "value"),
    [("FP16", np.inf), ("FP64", 1e300), ("FP64", np.nan), ("INT64", 2**62), ("UINT64", 2**64 - 1)],
)
def test_value_that_no_pixel_has_refuses_its_image_alone(datatype: str, value: Any) -> None:
    values = np.zeros((2, PIXELS), (FLOATS | INTEGERS)[datatype])
    values[1, 0] = value
    _, refusals = read(body(datatype, values, binary=True))
    assert list(refusals) == [1]
    assert refusals[1].reason == "range"


@pytest.mark.parametrize(
    ("datatype", "value"),
    [("UINT8", 256), ("UINT8", -1), ("INT8", 128), ("UINT64", 2**64), ("INT64", 2**63), ("INT32", 2**31)],
)
def test_number_that_its_datatype_does_not_hold_is_refused(datatype: str, value: int) -> None:
    _, refusals = read(body(datatype, np.array([[value] * PIXELS], object), binary=False))
    assert refusals[0].reason == "type"
    assert "at `$.inputs[0].data[0]`" in str(refusals[0])


@pytest.mark.parametrize("datatype", ["BOOL", "BYTES", "BF16", "FP8", "fp32", "float64", ""])
def test_other_datatype_is_told_those_that_are_read(datatype: str) -> None:
    _, refusals = read(body(datatype, LEVELS, binary=False))
    for known in KNOWN:
        assert known in str(refusals[0])
    assert f"got {datatype!r} - at `$.inputs[0].datatype`" in str(refusals[0])


def test_numbers_of_json_are_no_fp16() -> None:
    _, refusals = read(body("FP16", LEVELS / 127, binary=False))
    assert "Expected FP16 as bytes behind the JSON" in str(refusals[0])


@pytest.mark.parametrize(
    "members", [{"parameters": None}, {"parameters": {"binary_data_size": None}}, {"parameters": {}}]
)
def test_parameters_may_be_null(members: dict[str, Any]) -> None:
    _, refusals = read(body("FP32", LEVELS / 127, binary=False, **members))
    assert not refusals


def test_unknown_output_is_told_those_that_there_are() -> None:
    tensor = {"shape": [1, PIXELS], "datatype": "UINT8", "data": [0] * PIXELS}
    _, refusals = read(json.dumps({"inputs": [tensor], "outputs": [{"name": "digit"}]}).encode())
    assert "Expected one of prediction, confidence, error, got 'digit' - at `$.outputs[0].name`" in str(refusals[0])
