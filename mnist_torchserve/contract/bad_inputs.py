"""Every kind of bad input, with the status and the words that it must get."""

import gzip
import json
import struct
import zlib
from dataclasses import dataclass

from .sample import PIXELS

MAX_BODY = 65_536  # bytes


@dataclass(frozen=True)
class BadInput:
    """An input that must be refused: with this status, and with these words in the message."""

    name: str
    body: bytes
    status: int
    words: str
    media_type: str | None = "application/json"

    def __str__(self) -> str:
        return self.name


def _data(*values: object, count: int = PIXELS) -> bytes:
    """A payload of so many values, those given first and zeros after them."""
    return json.dumps({"data": [*values, *[0.0] * (count - len(values))]}).encode()


_RANGE = "Expected a number from 0 to 1, got"
_HEADER = b"IHDR" + struct.pack(">IIBBBBB", 10_000, 10_000, 8, 0, 0, 0, 0)
_HUGE = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + _HEADER + struct.pack(">I", zlib.crc32(_HEADER))
_HUGE += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))

BAD_INPUTS = [
    BadInput("empty", b"", 400, "got nothing"),
    BadInput("not JSON", b"seven", 400, "Expected JSON"),
    BadInput("half sent", b'{"data": [0.0, 0.', 400, "Expected JSON"),
    BadInput("not UTF-8", b"\xff\xfe\x00", 400, "Expected JSON"),
    BadInput("instances without end", b'{"instances": ' + b"[" * 30_000, 400, "Expected JSON"),
    BadInput("compressed", gzip.compress(_data(), mtime=0), 400, "gzip, which is not read; send it uncompressed"),
    BadInput("nested without end", b'{"more": ' + b"[" * 30_000, 400, "Expected JSON"),
    BadInput("one too few", _data(count=PIXELS - 1), 422, "Expected 784 numbers, got 783 - at `$.data`"),
    BadInput("one too many", _data(count=PIXELS + 1), 422, "Expected 784 numbers, got 785 - at `$.data`"),
    BadInput("no numbers", _data(count=0), 422, "Expected 784 numbers, got 0 - at `$.data`"),
    BadInput("data missing", b'{"image": [0.0]}', 422, "missing required field `data`"),
    BadInput("data null", b'{"data": null}', 422, "Expected `array`, got `null` - at `$.data`"),
    BadInput("data a string", b'{"data": "0.0"}', 422, "Expected `array`, got `str` - at `$.data`"),
    BadInput("data a number", b'{"data": 7}', 422, "Expected `array`, got `int` - at `$.data`"),
    BadInput("data an object", b'{"data": {}}', 422, "Expected `array`, got `object` - at `$.data`"),
    BadInput("an array", b"[0.0]", 422, "Expected `object`, got `array`"),
    BadInput("null", b"null", 422, "Expected `object`, got `null`"),
    BadInput("a string within", _data(0, 0, "1"), 422, "Expected `float`, got `str` - at `$.data[2]`"),
    BadInput("a null within", _data(0, None), 422, "Expected `float`, got `null` - at `$.data[1]`"),
    BadInput("a bool within", _data(True), 422, "Expected `float`, got `bool` - at `$.data[0]`"),
    BadInput("a list within", _data([0.0]), 422, "Expected `float`, got `array` - at `$.data[0]`"),
    BadInput("28 rows of 28", json.dumps({"data": [[0.0] * 28] * 28}).encode(), 422, "got `array` - at `$.data[0]`"),
    BadInput("NaN", _data(0, float("nan")), 422, f"{_RANGE} nan - at `$.data[1]`"),
    BadInput("Infinity", _data(float("inf")), 422, f"{_RANGE} inf - at `$.data[0]`"),
    BadInput("-Infinity", _data(float("-inf")), 422, f"{_RANGE} -inf - at `$.data[0]`"),
    BadInput("below 0", _data(0, 0, -0.01), 422, f"{_RANGE} -0.01 - at `$.data[2]`"),
    BadInput("above 1", _data(0, 1.01), 422, f"{_RANGE} 1.01 - at `$.data[1]`"),
    BadInput("beyond float32", _data(1e39), 422, f"{_RANGE} 1e+39 - at `$.data[0]`"),
    BadInput("beyond float64", _data().replace(b"0.0", b"1e999", 1), 422, f"{_RANGE} inf - at `$.data[0]`"),
    BadInput("0 to 255", _data(0, 128, 255), 422, "look like 0 to 255: divide each by 255"),
    BadInput("text", _data(), 415, "Expected the header `Content-Type: application/json`", "text/plain"),
    BadInput("XML", b"<data/>", 415, "got 'application/xml'", "application/xml"),
    BadInput("a form", b"data=0.0", 415, "Content-Type: application/json", "application/x-www-form-urlencoded"),
    BadInput("784 bytes and one", bytes(785), 422, "Expected 784 bytes", "application/octet-stream"),
    BadInput("a picture as base64", b'{"data": "iVBORw0KGgoAAAANSUhEUg=="}', 422, "Send the picture's own bytes"),
    BadInput("a data URL", b'{"image": "data:image/jpeg;base64,/9j/4AAQ"}', 422, "Send the picture's own bytes"),
    BadInput("a data URL alone", b"data:image/webp;base64,UklGRg==", 400, "Send the picture's own bytes"),
    BadInput("a picture as an instance", b'{"instances": [{"b64": "/9j/4AAQ"}]}', 422, "Send the picture's own bytes"),
    BadInput("a picture as JSON", _HUGE, 400, "Send the picture's own bytes"),
    BadInput("a GIF as PNG", b"GIF89a", 400, "got a GIF. Save one frame of it as PNG", "image/png"),
    BadInput("a GIF", b"GIF89a", 415, "got a GIF. Save one frame of it as PNG", "image/gif"),
    BadInput("no image", b"seven", 400, "Expected a whole PNG, JPEG or WebP file in the body", "image/png"),
    BadInput(
        "an image cut short", _HUGE[:30], 400, "Expected a whole PNG, JPEG or WebP file in the body", "image/jpeg"
    ),
    BadInput("an image of many megabytes", _HUGE, 422, "4,096 on a side, got 10000 × 10000", "image/png"),
]
