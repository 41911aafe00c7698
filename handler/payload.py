"""Request bytes -> (784,) float32 in 0..1, or a PayloadError. Knows no TorchServe.

media type ──────> body ──────> 784 numbers ──────> pixels in 0..1
│              │               │                    │
415            400             422                  422
not readable   not JSON, empty   types, length   out of range, not finite

An image file has a way of its own, in images.py: 400 if it is damaged, 422 if it is no single picture of bounded size.
"""

import json
import struct
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import images
import msgspec
import numpy as np
import simdjson
from numpy.typing import NDArray

PIXELS = 784  # 28 × 28, row by row

Body = bytes | bytearray | memoryview
Pixels = NDArray[np.float32]


# Why a request is refused, in the words of the metrics, and the status that it gets.
REASONS = {
    "empty": HTTPStatus.BAD_REQUEST,
    "malformed": HTTPStatus.BAD_REQUEST,
    "media_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "type": HTTPStatus.UNPROCESSABLE_ENTITY,
    "length": HTTPStatus.UNPROCESSABLE_ENTITY,
    "range": HTTPStatus.UNPROCESSABLE_ENTITY,
    "image": HTTPStatus.UNPROCESSABLE_ENTITY,
}


class PayloadError(Exception):
    """A request that cannot be answered: one of `REASONS`, and a message that says what to send instead."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = REASONS[reason]

    def body(self) -> bytes:
        """The error as JSON, in the shape of TorchServe's own errors."""
        kind = self.status.phrase.replace(" ", "") + "Exception"
        return msgspec.json.encode({"code": int(self.status), "type": kind, "message": str(self)})


class _Payload(msgspec.Struct):
    data: list[float]


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some systems begin every text with it
_GZIP = b"\x1f\x8b"
_PARSER = simdjson.Parser()
_JSON = msgspec.json.Decoder(_Payload)
_ROW = struct.Struct(f"={PIXELS}f")  # packs a list three times faster than np.array converts it
_SHAPE = 'Send {"data": [784 numbers from 0 to 1]}, one per pixel of a 28×28 image, row by row, 0 for black.'


def decode(requests: Sequence[tuple[Body, str]]) -> tuple[Pixels, dict[int, PayloadError]]:
    """Decode and validate a batch.

    Args:
        requests: n pairs of body and media type; an empty media type means JSON.

    Returns:
        Pixels (n, 784) float32, and the error of each request that has one, by its index.
        The row of a request with an error is zeros, so that it cannot reach its neighbours.

    """
    pixels = np.empty((len(requests), PIXELS), np.float32)
    errors: dict[int, PayloadError] = {}
    with np.errstate(over="raise"):
        for index, (body, media_type) in enumerate(requests):
            try:
                _read(body, media_type, pixels[index])
            except PayloadError as error:
                errors[index] = error
                pixels[index] = 0
    errors.update(take_out_of_range(pixels, lambda _: "$.data"))
    return pixels, errors


def take_out_of_range(pixels: Pixels, where: Callable[[int], str]) -> dict[int, PayloadError]:
    """Set each row of pixels (n, 784) that has a value outside of 0..1 to zeros, and return its error.

    `where` names the place of a row in the request.
    """
    # One pass over all rows, written so that NaN counts as outside.
    inside = ((pixels >= 0) & (pixels <= 1)).all(axis=1)
    errors = {}
    for index in np.flatnonzero(~inside).tolist():
        errors[index] = _range_error(pixels[index].tolist(), where(index))
        pixels[index] = 0
    return errors


def convert(value: Any, kind: Any, where: str) -> Any:
    """What a JSON decoder has read as a `kind` of value.

    Raises:
        PayloadError: it is another; the message names the place, which `where` begins.

    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        said, at, path = str(error).partition(" - at `$")
        raise PayloadError("type", f"{said} - at `{where}{path if at else '`'}.") from None


def _read(body: Body, media_type: str, row: Pixels) -> None:
    """Write a request's 784 numbers into `row`, not yet checked for their range."""
    if media_type not in ("application/json", ""):
        media_type = media_type.partition(";")[0].strip().lower()
    if media_type in ("application/json", ""):
        # gRPC has no media types, but an image file tells by itself what it is.
        if not media_type and images.is_image(body):
            _read_image(body, row)
        else:
            _read_json(body, row)
    elif media_type == "application/octet-stream":
        _read_binary(body, row)
    elif media_type in images.MEDIA_TYPES:
        _read_image(body, row)
    else:
        raise PayloadError(
            "media_type",
            f"Expected the header `Content-Type: application/json` (or application/octet-stream, "
            f"image/png, image/jpeg), got {media_type[:80]!a}. {_SHAPE}",
        )


def _read_json(body: Body, row: Pixels) -> None:
    body = bytes(body).removeprefix(_BYTE_ORDER_MARK)
    if _read_plain(body, row):
        return
    try:
        values = _JSON.decode(body).data
    except msgspec.ValidationError as error:
        raise PayloadError("type", f"{error}. {_SHAPE}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        values = _read_lenient(body, str(error))
    if len(values) != PIXELS:
        raise PayloadError("length", f"Expected {PIXELS} numbers, got {len(values)} - at `$.data`. {_SHAPE}")
    try:
        _ROW.pack_into(row.data, 0, *values)
    except OverflowError:  # beyond float32
        raise _range_error(values, "$.data") from None


def _read_plain(body: bytes, row: Pixels) -> bool:
    """Read what nearly all clients send, one object of nothing but 784 numbers, in half of msgspec's time.

    Returns:
        Whether that was it; if not, msgspec knows why.
    """
    # The document lives in the parser, which takes the next one only when this is gone: with the end of this function.
    try:
        document = _PARSER.parse(body)
        if not isinstance(document, simdjson.Object) or len(document) != 1:
            return False
        numbers = document["data"]
        if not isinstance(numbers, simdjson.Array) or len(numbers) != PIXELS:
            return False
        if body.find(b"[", body.find(b"[") + 1) != -1:  # the buffer is flat: a list within would go unseen
            return False
        row[:] = np.frombuffer(numbers.as_buffer(of_type="d"))
    except (ValueError, TypeError, KeyError, RuntimeError, FloatingPointError):
        return False
    return True


def _read_lenient(body: bytes, reason: str) -> list[float]:
    """Read what is no JSON only because it holds NaN or Infinity.

    Many clients' encoders write these; in `data` they are wrong values, not a wrong format, and get the status of
    wrong values.
    """
    if not body:
        raise PayloadError("empty", f"Expected a JSON object in the body, got nothing. {_SHAPE}")
    try:
        return msgspec.convert(json.loads(body), _Payload).data
    except msgspec.ValidationError as error:
        raise PayloadError("type", f"{error}. {_SHAPE}") from None
    except (ValueError, RecursionError):
        if body.startswith(_GZIP):
            reason = "gzip, which is not read; send it uncompressed"
        raise PayloadError("malformed", f"Expected JSON in the body, got something else: {reason}. {_SHAPE}") from None


def _read_binary(body: Body, row: Pixels) -> None:
    size = memoryview(body).nbytes
    if size == PIXELS:
        np.divide(np.frombuffer(body, np.uint8), np.float32(255), out=row)
    elif size == PIXELS * 4:
        row[:] = np.frombuffer(body, "<f4")
    else:
        raise PayloadError(
            "length",
            f"Expected {PIXELS} bytes (uint8, 0 to 255) or {PIXELS * 4} bytes (little-endian float32, 0 to 1), "
            f"got {size} - in the body. Send one value per pixel of a 28×28 image, row by row.",
        )


def _read_image(body: Body, row: Pixels) -> None:
    try:
        row[:] = images.read(body)
    except images.ImageError as error:
        reason = "malformed" if isinstance(error, images.BrokenImageError) else "image"
        raise PayloadError(reason, str(error)) from None


def _range_error(values: Sequence[float], where: str) -> PayloadError:
    index = next(i for i, value in enumerate(values) if not 0 <= value <= 1)
    message = f"Expected a number from 0 to 1, got {values[index]:.6g} - at `{where}[{index}]`."
    if min(values) >= 0 and 2 <= max(values) <= 255:
        message += " The values look like 0 to 255: divide each by 255."
    else:
        message += " Scale the image so that 0 is black and 1 is white."
    return PayloadError("range", message)
