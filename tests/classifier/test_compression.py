"""Compressed bodies, against Python's own compressors."""

import gzip
import os
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from classifier.compression import MARKS, decompress
from classifier.types import MAX_BODY, Refusal

TEXT = os.urandom(5_000) + b" " * 5_000


@pytest.mark.parametrize("level", [0, 1, 6, 9])
@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_body_comes_out_as_it_was(encoding: str, compress: Callable[..., bytes], level: int) -> None:
    body = compress(TEXT, level)
    assert body.startswith(MARKS)
    assert decompress(body, encoding, len(TEXT)) == TEXT
    assert decompress(body, encoding.upper(), MAX_BODY) == TEXT
    with pytest.raises(Refusal, match=f"at most {len(TEXT) - 1} bytes once decompressed") as caught:
        decompress(body, encoding, len(TEXT) - 1)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x1f\x8b",
        b"{}",
        gzip.compress(TEXT)[:-1],
        gzip.compress(TEXT)[:-8] + bytes(8),  # another checksum
        gzip.compress(TEXT) + b"}",
        gzip.compress(TEXT) * 2,
    ],
)
def test_damaged_body_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal, match=r"Expected .*gzip.* in the body, got") as caught:
        decompress(body, "gzip", MAX_BODY)
    assert caught.value.status == 400


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", ""])
def test_other_encoding_is_told_those_that_are_read(encoding: str) -> None:
    with pytest.raises(Refusal, match="Expected no `Content-Encoding` but gzip or deflate") as caught:
        decompress(gzip.compress(TEXT), encoding, MAX_BODY)
    assert caught.value.status == 415


def test_bomb_takes_no_more_memory_than_its_limit() -> None:
    body = gzip.compress(bytes(64 * 2**20))
    assert len(body) < MAX_BODY
    tracemalloc.start()
    with pytest.raises(Refusal):
        decompress(body, "gzip", MAX_BODY)
    assert tracemalloc.get_traced_memory()[1] < 4 * MAX_BODY
    tracemalloc.stop()
