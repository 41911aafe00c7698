"""IDX files, as MNIST's are, of images that are made up."""

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.uint8]


def write_idx(path: Path, array: Levels) -> None:
    """Write an array of bytes, gzipped where the name says so."""
    content = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)


def shapes(count: int, seed: int) -> tuple[Levels, Levels]:
    """Images (count, 28, 28) of three things, and which of them (count,): a bar across, a bar down, a square."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, 28, 28)).astype(np.uint8)
    labels = (np.arange(count) % 3).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = rng.integers(4, 12, 2)
        height, width = ((4, 14), (14, 4), (10, 10))[label]
        image[top : top + height, left : left + width] = rng.integers(150, 256)
    return images, labels


def write_shapes(folder: Path, train: int = 600, test: int = 150, first: int = 0) -> Path:
    """Four files of such images, with labels from `first` on."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, count, seed in (("train", train, 1), ("t10k", test, 2)):
        images, labels = shapes(count, seed)
        write_idx(folder / f"{part}-images-idx3-ubyte", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels + np.uint8(first))
    return folder
