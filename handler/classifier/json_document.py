"""Reads a body as a JSON document if the fast path cannot read it. Does not depend on TorchServe."""

import codecs
import json
from typing import Any, NamedTuple

import msgspec
from .types import Refusal

SHAPE = 'Send {"data": [784 numbers from 0 to 1]}, one per pixel of a 28×28 image, row by row, 0 for black.'

_GZIP = b"\x1f\x8b"
_DECODER = json.JSONDecoder()


class Document(NamedTuple):
    """A JSON value, and what follows it: V2's binary tensors, or bytes that make the body invalid."""

    value: Any
    rest: bytes = b""
    problem: str = ""  # what is wrong, if there is a rest

    def first_of(self, *keys: str) -> str | None:
        """Return the first of these keys at the top that is not null, else the first one there, else None."""
        if not isinstance(self.value, dict):
            return None
        found = [key for key in keys if key in self.value]
        return next((key for key in found if self.value[key] is not None), found[0] if found else None)

    def alone(self) -> Any:
        """Return the value. Raises Refusal if more than white space follows it."""
        if self.rest.strip():
            raise _malformed(self.problem)
        return self.value


def decode(body: bytes) -> Document:
    """Read a body that begins with a JSON document, in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    NaN and Infinity, which many clients' encoders write, are accepted here. They are invalid values, not an invalid
    format, and get the status of invalid values.

    Raises:
        Refusal: the body is empty, or is not JSON.
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
        text = body.decode("utf-8", "surrogateescape")  # binary tensors may follow, which are not UTF-8
        value, end = _DECODER.raw_decode(text, len(text) - len(text.lstrip(" \t\r\n")))
        return Document(value, body[len(text[:end].encode()) :], problem)
    except (ValueError, RecursionError):
        raise _malformed(problem) from None


def convert(value: Any, kind: Any, where: str) -> Any:
    """Convert a value from a JSON decoder to the type `kind`.

    Raises:
        Refusal: it has another type. The message names the place, starting with `where`.
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
    """Convert a body from any encoding of JSON to UTF-8 without a byte order mark.

    Raises:
        Refusal: the body does not keep to the encoding that it begins with.
    """
    encoding = json.detect_encoding(body)
    if encoding == "utf-8":
        return body
    if encoding == "utf-8-sig":
        return body.removeprefix(codecs.BOM_UTF8)  # binary tensors may follow, which no text codec reads
    try:
        return body.decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise _malformed(f"no {encoding.upper()}, as which it begins ({error.reason})") from None


def _malformed(problem: str) -> Refusal:
    return Refusal("malformed", f"Expected JSON in the body, got something else: {problem}. {SHAPE}")
