"""A body as a JSON document, for all that is not read by the shortest way. Knows no TorchServe."""

import codecs
import json
from typing import Any, NamedTuple

import msgspec
from .types import Refusal

SHAPE = 'Send {"data": [784 numbers from 0 to 1]}, one per pixel of a 28×28 image, row by row, 0 for black.'

_GZIP = b"\x1f\x8b"
_DECODER = json.JSONDecoder()


class Document(NamedTuple):
    """A JSON value, and what follows it: V2's binary tensors, or a reason to refuse the body."""

    value: Any
    rest: bytes = b""
    problem: str = ""  # in words, where there is a rest

    def first_of(self, *keys: str) -> str | None:
        """Which of these keys it has at its top: the first that is not null, else the first; None if it has none."""
        if not isinstance(self.value, dict):
            return None
        found = [key for key in keys if key in self.value]
        return next((key for key in found if self.value[key] is not None), found[0] if found else None)

    def alone(self) -> Any:
        """The value, behind which there may be white space; Refusal if there is more."""
        if self.rest.strip():
            raise _malformed(self.problem)
        return self.value


def decode(body: bytes) -> Document:
    """Read a body that begins with a JSON document, in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    NaN and Infinity, which many clients' encoders write, are read: they are wrong values, not a wrong format, and get
    the status of wrong values.

    Raises:
        Refusal: it is empty, or no JSON.
    """
    body = in_utf8(body)
    if not body:
        raise Refusal("empty", f"Expected a JSON object in the body, got nothing. {SHAPE}")
    try:
        return Document(msgspec.json.decode(body))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        problem = str(error)
    if body.startswith(_GZIP):
        problem = "gzip, which is not read; send it uncompressed, or say `Content-Encoding: gzip`"
    try:
        text = body.decode("utf-8", "surrogateescape")  # binary tensors may follow, which are none
        value, end = _DECODER.raw_decode(text, len(text) - len(text.lstrip(" \t\r\n")))
        return Document(value, body[len(text[:end].encode()) :], problem)
    except (ValueError, RecursionError):
        raise _malformed(problem) from None


def convert(value: Any, kind: Any, where: str) -> Any:
    """What a JSON decoder has read as a `kind` of value.

    Raises:
        Refusal: it is another; the message names the place, which `where` begins.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        said, at, path = str(error).partition(" - at `$")
        raise Refusal("type", f"{said} - at `{where}{path if at else '`'}.") from None
    except (ValueError, OverflowError, RecursionError):
        raise Refusal(
            "type", f"Expected another value, got one with half a surrogate pair or nested without end - at `{where}`."
        ) from None


def in_utf8(body: bytes) -> bytes:
    """A body in UTF-8, without a byte order mark, whichever encoding of JSON it begins with.

    Raises:
        Refusal: it goes on in another.
    """
    encoding = json.detect_encoding(body)
    if encoding == "utf-8":
        return body
    if encoding == "utf-8-sig":
        return body.removeprefix(codecs.BOM_UTF8)  # what follows may hold binary tensors, which no text codec reads
    try:
        return body.decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise _malformed(f"no {encoding.upper()}, as which it begins ({error.reason})") from None


def _malformed(problem: str) -> Refusal:
    return Refusal("malformed", f"Expected JSON in the body, got something else: {problem}. {SHAPE}")
