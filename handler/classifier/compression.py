"""Decompresses a body up to a limit. Does not depend on TorchServe."""

import zlib

from .types import Refusal

MARKS = (b"\x1f\x8b", b"\x78")  # the first bytes of gzip and zlib; no JSON and no picture begins with them
ENCODINGS = ("gzip", "deflate")

_EITHER = 47  # zlib's `wbits`: accept gzip and zlib


def decompress(body: bytes, encoding: str, most: int) -> bytes:
    """Decompress a body.

    Args:
        body: one gzip or zlib stream.
        encoding: what the header `Content-Encoding` calls it.
        most: bytes that it may have. Hardly more than that are ever decompressed.

    Raises:
        Refusal: the body is compressed in another way, damaged, or too large.
    """
    if encoding.strip().lower() not in ENCODINGS:
        raise Refusal(
            "media_type", f"Expected no `Content-Encoding` but {' or '.join(ENCODINGS)}, got another. Send it as it is."
        )
    stream = zlib.decompressobj(_EITHER)
    try:
        made = stream.decompress(body, most + 1)
    except zlib.error:
        raise Refusal("malformed", f"Expected {encoding} in the body, got something else. Send it again.") from None
    if len(made) > most:
        raise Refusal("size", f"Expected at most {most} bytes once decompressed, got more - in the body. Send less.")
    if not stream.eof or stream.unused_data:
        raise Refusal(
            "malformed", f"Expected one whole {encoding} stream in the body, got a part or more. Send it again."
        )
    return made
