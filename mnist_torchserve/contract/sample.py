"""The images that are sent: their size, a blank one, and a sample of real digits."""

import zipfile
from functools import cache
from pathlib import Path

PIXELS = 784  # 28 × 28, row by row
CLASSES = 10

_SAMPLE = Path(__file__).with_name("digits.npz")  # digits.md has its provenance


def blank(level: float = 0.0) -> dict[str, list[float]]:
    """The payload of a page of one brightness: 0 for blank, 1 for full of ink."""
    return {"data": [level] * PIXELS}


@cache
def sample() -> tuple[bytes, bytes]:
    """The first 500 digits of MNIST's test set: 784 grey levels each, 0 black, and a label each."""
    with zipfile.ZipFile(_SAMPLE) as arrays:
        pixels, labels = (_content(arrays.read(f"{name}.npy")) for name in ("pixels", "labels"))
    return pixels, labels


def _content(file: bytes) -> bytes:
    """The bytes of an array of uint8 in NumPy's format, version 1: ten bytes, the last two the header's length."""
    return file[10 + int.from_bytes(file[8:10], "little") :]
