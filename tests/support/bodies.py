"""Hypothesis strategies for the bodies of requests: the keys of each reader, with any values in them."""

import json
from typing import Any

from hypothesis import strategies as st
from mnist_torchserve.contract import MAX_BODY, PIXELS
from tests.support.json_values import json_values

MEDIA_TYPES = ["application/json", "", "application/octet-stream", "image/png", "image/jpeg", "text/plain"]

# Values that are hard to decode: half of a surrogate pair, numbers with very many digits, long texts, deep nesting.
odd_texts = st.sampled_from(["\ud800", "\udc80", "x" * 40_000, "é" * 20_000, "\x00", '"\\', "", "FP32", "prediction"])
odd_numbers = st.sampled_from([10**400, -(10**400), 2**63, -1, 0, 1e308, float("nan"), float("inf"), 0.5, 784, 64])


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


odd = odd_texts | odd_numbers | st.sampled_from([10, 300]).map(_nested) | json_values
images = st.builds(lambda value, size: [value] * size, odd, st.sampled_from([0, 1, PIXELS - 1, PIXELS, PIXELS + 1]))
rows = st.builds(lambda value, size: [[value] * size] * size, odd, st.sampled_from([1, 28, 29]))
shapes = st.builds(lambda value, size: [value] * size, odd, st.sampled_from([0, 1, 2, 4, 11_000])) | st.sampled_from(
    [[1, PIXELS], [PIXELS], [64, PIXELS], [65, PIXELS], [1, 1, 28, 28], [10**12, PIXELS], [-1, -PIXELS]]
)
tensors = st.fixed_dictionaries(
    {"shape": shapes | odd},
    optional={
        "name": odd,
        "datatype": st.sampled_from(["FP32", "UINT8"]) | odd,
        "data": images | rows | odd,
        "parameters": odd | st.fixed_dictionaries({"binary_data_size": odd_numbers | st.just(PIXELS) | odd}),
    },
)
outputs = st.builds(lambda name, size: [{"name": name}] * size, odd, st.sampled_from([1, 3, 3_500])) | odd
documents = st.fixed_dictionaries(
    {},
    optional={
        "data": images | rows | odd,
        "instances": st.lists(images | rows | odd | st.fixed_dictionaries({"data": images | odd}), max_size=3)
        | st.sampled_from([[0] * 65, [[]] * 64])
        | odd,
        "inputs": st.lists(tensors, max_size=3) | odd,
        "outputs": outputs,
        "id": odd,
        "parameters": odd,
    },
)
# Python's json writes NaN, halves of surrogate pairs and all digits, as careless clients do.
texts = st.builds(
    lambda document, ensure_ascii: json.dumps(document, ensure_ascii=ensure_ascii).encode("utf-8", "surrogatepass"),
    documents | odd,
    st.booleans(),
)
twice = st.builds(lambda one, other: b"{" + one.strip(b"{}[]") + b", " + other[1:], texts, texts)
damaged = st.builds(
    lambda body, place, piece: body[: int(place * len(body))] + piece + body[int(place * len(body)) :],
    texts,
    st.floats(0, 1),
    st.sampled_from([b"\xff", b"\xed\xa0\x80", b"\x00", b"[" * 5_000, b'{"data":' * 900, b"\\u", b"1" * 5_000, b","]),
)
followed = st.builds(lambda body, rest: body + rest, texts, st.sampled_from([b"\0" * PIXELS, b"}", b"\xff", b" \n"]))
encoded = st.builds(
    lambda body, encoding: body.decode("utf-8", "replace").encode(encoding),
    texts,
    st.sampled_from(["utf-8-sig", "utf-16", "utf-16-be", "utf-32"]),
)
bodies = (texts | twice | damaged | followed | encoded | st.binary(max_size=4_000)).map(lambda body: body[:MAX_BODY])
