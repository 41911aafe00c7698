"""One image in a body -> (784,) float32 in 0..1, or a Refusal. Does not depend on TorchServe.

body ──────> 784 numbers ──────> pixels in 0..1
│               │                    │
400             422                  422
not JSON, empty   types, length      out of range, not finite

`refuse_out_of_range` checks the range for all images of a batch at once. images.py reads pictures: 400 if one is
damaged, 422 if it is not a single picture of limited size.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import simdjson
from .json_document import SHAPE, convert
from .types import PIXELS, Body, Pixels, Refusal


class _ImageDocument(msgspec.Struct):
    data: list[float]


_PARSER = simdjson.Parser()
_ROW = struct.Struct(f"={PIXELS}f")  # packs a list three times faster than np.array converts it


def read_plain(body: bytes, row: Pixels) -> bool:
    """Read what nearly all clients send, an object with only 784 numbers, in half of msgspec's time.

    Returns:
        Whether the body was such an object. If not, `row` may contain anything.
    """
    # The parser takes the next document only when this one is gone, which is at the end of this function.
    try:
        document = _PARSER.parse(body)
        if not isinstance(document, simdjson.Object) or len(document) != 1:
            return False
        numbers = document["data"]
        if not isinstance(numbers, simdjson.Array) or len(numbers) != PIXELS:
            return False
        if body.find(b"[", body.find(b"[") + 1) != -1:  # the buffer is flat and would hide a nested list
            return False
        row[:] = np.frombuffer(numbers.as_buffer(of_type="d"))
    except (ValueError, TypeError, KeyError, RuntimeError, FloatingPointError):
        return False
    return True


def read_document(document: Any, row: Pixels) -> None:
    """Write the numbers under `data` in a JSON document into `row`. Their range is not checked yet."""
    if isinstance(document, dict) and "data" not in document:
        known = "`data` (one image), `instances` or `inputs` (several, by KServe's protocols)"
        raise Refusal("type", f"Object missing required field {known} - at `$`. {SHAPE}")
    try:
        values = convert(document, _ImageDocument, "$").data
    except Refusal as refusal:
        raise Refusal(refusal.reason, f"{refusal} {SHAPE}") from None
    if len(values) != PIXELS:
        raise Refusal("length", f"Expected {PIXELS} numbers, got {len(values)} - at `$.data`. {SHAPE}")
    try:
        _ROW.pack_into(row.data, 0, *values)
    except OverflowError:  # beyond float32
        raise _out_of_range(values, "$.data") from None


def is_bytes(body: Body) -> bool:
    """Whether a body has the length of an image of uint8 or float32."""
    return memoryview(body).nbytes in (PIXELS, PIXELS * 4)


def read_bytes(body: Body, row: Pixels) -> None:
    """Write an image of bytes into `row`. The range of its floats is not checked yet."""
    size = memoryview(body).nbytes
    if size == PIXELS:
        np.divide(np.frombuffer(body, np.uint8), np.float32(255), out=row)
    elif size == PIXELS * 4:
        row[:] = np.frombuffer(body, "<f4")
    else:
        raise Refusal(
            "length",
            f"Expected {PIXELS} bytes (uint8, 0 to 255) or {PIXELS * 4} bytes (little-endian float32, 0 to 1), "
            f"got {size} - in the body. Send one value per pixel of a 28×28 image, row by row.",
        )


def refuse_out_of_range(pixels: Pixels, where: Callable[[int], str], white: int = 1) -> dict[int, Refusal]:
    """Set each row of pixels (n, 784) with a value outside of 0..white to zeros, and return its refusal.

    `where` returns the place of a row in the request.
    """
    # One pass over all rows, written so that NaN counts as outside.
    inside = ((pixels >= 0) & (pixels <= white)).all(axis=1)
    refusals = {}
    for index in np.flatnonzero(~inside).tolist():
        refusals[index] = _out_of_range(pixels[index].tolist(), where(index), white)
        pixels[index] = 0
    return refusals


def _out_of_range(values: Sequence[float], where: str, white: int = 1) -> Refusal:
    index = next(i for i, value in enumerate(values) if not 0 <= value <= white)
    message = f"Expected a number from 0 to {white}, got {values[index]:.6g} - at `{where}[{index}]`."
    if white == 1 and min(values) >= 0 and 2 <= max(values) <= 255:
        message += " The values look like 0 to 255: divide each by 255."
    else:
        message += f" Scale the image so that 0 is black and {white} is white."
    return Refusal("range", message)
