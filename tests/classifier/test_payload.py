"""Payloads, against the contract's table and against plain NumPy."""

import json
import struct

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from classifier import batch
from classifier.batch import Batch
from classifier.types import MAX_BODY, PIXELS, Model, Refusal, Request
from mnist_torchserve.contract import BAD_INPUTS, BadInput
from tests.support.json_values import json_values

JSON = "application/json"
BINARY = "application/octet-stream"


def read(*requests: tuple[bytes, str]) -> Batch:
    return batch.read([Request(*request) for request in requests], Model("mnist", "1.0"))


def decode(body: bytes, media_type: str = JSON) -> NDArray[np.float32]:
    """One request's pixels (784,), or its BadInput raised."""
    found = read((body, media_type))
    for refusal in found.refusals.values():
        raise refusal
    row: NDArray[np.float32] = found.pixels[0]
    return row


def test_json_becomes_the_float32_nearest_to_its_numbers() -> None:
    values = np.random.default_rng(0).random(PIXELS)
    decoded = decode(json.dumps({"data": values.tolist()}).encode())
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, values.astype(np.float32))


def test_integers_and_further_keys_are_accepted() -> None:
    body = json.dumps({"id": 7, "data": [0, 1] * 392, "tags": ["a"]}).encode()
    np.testing.assert_array_equal(decode(body), np.array([0, 1] * 392, np.float32))


def test_last_of_two_values_for_a_key_counts() -> None:
    first, last = json.dumps([0] * PIXELS).encode(), json.dumps([1] * PIXELS).encode()
    np.testing.assert_array_equal(decode(b'{"data": %s, "data": %s}' % (first, last)), np.ones(PIXELS))
    with pytest.raises(Refusal, match="Expected `array`, got `null`"):
        decode(b'{"data": %s, "data": null}' % first)


def test_byte_order_mark_is_passed_over() -> None:
    inked = json.dumps([1] * PIXELS).encode()
    for body in (b'{"data": %s}', b'{"id": 7, "data": %s}'):
        np.testing.assert_array_equal(decode(b"\xef\xbb\xbf" + body % inked), np.ones(PIXELS))


def test_bytes_are_grey_levels() -> None:
    grey = np.arange(PIXELS, dtype=np.uint16).astype(np.uint8)
    np.testing.assert_array_equal(decode(grey.tobytes(), BINARY), grey / np.float32(255))


def test_little_endian_floats_are_taken_as_they_are() -> None:
    values = np.linspace(0, 1, PIXELS, dtype="<f4")
    np.testing.assert_array_equal(decode(values.tobytes(), BINARY), values)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e-6, 1.001])
def test_binary_floats_are_checked_like_json(value: float) -> None:
    body = struct.pack("<784f", *[0.0] * (PIXELS - 1), value)
    with pytest.raises(Refusal, match=r"from 0 to 1.*\$\.data\[783\]") as caught:
        decode(body, BINARY)
    assert caught.value.status == 422


@pytest.mark.parametrize("refusal", [r for r in BAD_INPUTS if "form" not in r.name], ids=str)
def test_contract_table(refusal: BadInput) -> None:
    with pytest.raises(Refusal) as caught:
        decode(refusal.body, refusal.media_type or "")
    assert caught.value.status == refusal.status
    assert refusal.words in str(caught.value)


def test_bad_requests_leave_their_neighbours_alone() -> None:
    good = np.random.default_rng(1).random((3, PIXELS)).astype(np.float32)
    bodies = [good[0].tobytes(), b"short", good[1].tobytes(), np.full(PIXELS, 7, "<f4").tobytes(), good[2].tobytes()]
    found = read(*((body, BINARY) for body in bodies))
    np.testing.assert_array_equal(found.pixels[[0, 2, 4]], good)
    assert sorted(found.refusals) == [1, 3]
    assert not found.pixels[[1, 3]].any()


almost_payloads = st.builds(
    lambda values, repeats, tail: json.dumps({"data": (values * repeats)[:PIXELS] + tail}).encode(),
    st.lists(st.floats(-0.5, 1.5) | st.integers(-1, 2) | json_values, min_size=1, max_size=28),
    st.sampled_from([1, 28, PIXELS]),
    st.lists(st.floats(), max_size=1),
)
bodies = st.binary(max_size=64) | json_values.map(lambda value: json.dumps(value).encode()) | almost_payloads
binaries = st.binary(min_size=PIXELS, max_size=PIXELS) | st.binary(min_size=4 * PIXELS, max_size=4 * PIXELS)


@given(
    st.tuples(bodies | binaries, st.sampled_from([JSON, BINARY, "", "image/png", "text/plain"]) | st.text(max_size=20))
)
@example((b'{"data": ' + b"[" * 60_000, JSON))
@example((b"[" * 60_000, JSON))
@example((b'{"data": [' + b"9" * 60_000 + b"]}", JSON))
@example((b'{"x": NaN, "data": [' + b"9" * 60_000 + b"]}", JSON))
@example((b'{"x": NaN, "data": [' + b"9" * 400 + b"]}", JSON))
@example((b"\xef\xbb\xbf{}", JSON))
@example((b"\x1f\x8b", JSON))
@example((b'{"data": "' + b"7" * PIXELS + b'"}', JSON))
def test_any_bytes_give_pixels_or_a_refusal_from_the_table(request_: tuple[bytes, str]) -> None:
    try:
        pixels = decode(*request_)
    except Refusal as error:
        assert error.status in (400, 415, 422)
        shown = json.loads(error.encode())
        assert shown["code"] == error.status
        assert shown["message"] == str(error)
    else:
        assert pixels.shape == (PIXELS,)
        assert pixels.dtype == np.float32
        assert ((pixels >= 0) & (pixels <= 1)).all()


@given(almost_payloads)
@example(json.dumps({"data": [[0.5]] * PIXELS}).encode())
@example(json.dumps({"data": [2**70] * PIXELS}).encode())
def test_a_further_key_changes_nothing(body: bytes) -> None:
    assume(len(body) < MAX_BODY - 100)
    found = read((body, JSON), (body[:-1] + b', "id": 7}', JSON))
    np.testing.assert_array_equal(found.pixels[0], found.pixels[1])
    assert str(found.refusals.get(0)) == str(found.refusals.get(1))


@given(st.lists(st.floats(-0.1, 1.1) | st.sampled_from([0, 1]), min_size=1, max_size=9))
def test_exactly_the_numbers_in_range_are_accepted(values: list[float]) -> None:
    in_range = all(0 <= np.float32(value) <= 1 for value in values)
    body = json.dumps({"data": [*values, *[0] * (PIXELS - len(values))]}).encode()
    assert bool(read((body, JSON)).refusals) is not in_range
