"""Reads labelled images of 28×28 pixels in 2 to 100 classes, in MNIST's format IDX: http://yann.lecun.com/exdb/mnist.

It finds both usual spellings of a name, `train-images-idx3-ubyte` and `train-images.idx3-ubyte`, gzipped or not, with
any prefix, such as EMNIST's `emnist-letters-`. Labels begin at 0 or at 1.
"""

import gzip
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from classifier.types import MAX_CLASSES, PIXELS, SIDE
from mnist_torchserve.client import digits

_FILE = re.compile(
    r"(?P<set>(?!\.).*?)(?P<part>train|t10k|test|validation|val)-(?P<kind>images|labels)[-.]idx[13]-ubyte(\.gz)?"
)
_TEST = ("t10k", "test")
_PARTS: dict[str, list[tuple[str, ...]]] = {
    "train": [("train",)],
    "test": [_TEST],
    "validation": [("validation", "val"), _TEST],
}
_DIMENSIONS = {"images": 3, "labels": 1}


class DatasetError(RuntimeError):
    """Images are unavailable or invalid. The message says what to do."""


@dataclass(frozen=True)
class Split:
    """Images and their labels: `pixels` (N, 784) uint8, row by row, 0 black; `labels` (N,) uint8."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def floats(self) -> NDArray[np.float32]:
        """Return the pixels as the service gets them: (N, 784) float32 in 0..1."""
        return digits.floats(self.pixels)


def read(directory: Path, part: str, *, transpose: bool = False) -> Split:
    """Read the `train`, `test` or `validation` images in a folder, with the labels that the files have.

    Args:
        directory: the folder.
        part: which images to read; `validation` means the test images if there are no others.
        transpose: whether to swap rows and columns, as for EMNIST's files.

    Raises:
        DatasetError: a file is missing or damaged, the two files do not match, there are files of several sets, or all
            images are the same.
    """
    images, labels = (_find(directory, part, kind) for kind in ("images", "labels"))
    pixels, values = _content(images, 3), _content(labels, 1)
    if pixels.shape[1:] != (SIDE, SIDE):
        raise DatasetError(
            f"Expected images of {SIDE}×{SIDE} pixels in {images}, got {pixels.shape[2]}×{pixels.shape[1]}."
        )
    if len(pixels) != len(values):
        raise DatasetError(
            f"Expected as many labels as images, got {len(values)} in {labels} for {len(pixels)} images."
        )
    if not len(pixels):
        raise DatasetError(f"Expected images in {images}, got none.")
    if len(pixels) > 1 and (pixels == pixels[0]).all():
        raise DatasetError(f"Expected different images in {images}, got the same one {len(pixels):,} times.")
    if transpose:
        pixels = pixels.transpose(0, 2, 1)
    return Split(np.ascontiguousarray(pixels).reshape(-1, PIXELS), values)


def from_zero(splits: Sequence[Split], classes: int | None = None) -> tuple[list[Split], int]:
    """Return the same images with labels from 0 to K - 1, and K.

    Args:
        splits: the first one has all classes; if its least label is 1, every label is reduced by 1.
        classes: K, if it is known.

    Raises:
        DatasetError: there are fewer than 2 or more than 100 classes, or labels outside of K.
    """
    first = int(splits[0].labels.min())
    least = 1 if first == 1 and not any((split.labels == 0).any() for split in splits) else 0
    if classes is not None and all(split.labels.max() < classes for split in splits):
        least = 0
    found = int(max(split.labels.max() for split in splits)) - least + 1
    if classes is not None and found > classes:
        raise DatasetError(f"Expected labels of {classes} classes, got the label {found - 1 + least}.")
    known = classes or found
    if not 2 <= known <= MAX_CLASSES:
        raise DatasetError(f"Expected 2 to {MAX_CLASSES} classes, got labels from {first} to {found - 1 + least}.")
    most = int(splits[0].labels.max())
    if classes is None and (others := [int(split.labels.max()) for split in splits[1:] if split.labels.max() > most]):
        raise DatasetError(
            f"Expected labels from {least} to {most}, as in the training images, got {others[0]} in the test images."
        )
    if classes is None and (absent := sorted(set(range(known)) - set((splits[0].labels - least).tolist()))):
        raise DatasetError(
            f"Expected every label from {least} to {found - 1 + least}, got none of {absent[0] + least}."
        )
    return [Split(split.pixels, split.labels - np.uint8(least)) for split in splits], known


def _find(directory: Path, part: str, kind: str) -> Path:
    if not directory.is_dir():
        raise DatasetError(f"There is no folder {directory}.")
    matches = {file: match for file in sorted(directory.iterdir()) if (match := _FILE.fullmatch(file.name))}
    _require_one_set(directory, {match["set"]: file for file, match in matches.items()})
    for spellings in _PARTS[part]:
        found = [file for file, match in matches.items() if match["kind"] == kind and match["part"] in spellings]
        if found:  # several may be the same file, gzipped and not
            _require_one_set(directory, {_bytes(file): file for file in found})
            return found[0]
    usual = f"{_PARTS[part][0][0]}-{kind}-idx{_DIMENSIONS[kind]}-ubyte"
    raise DatasetError(
        f"No {usual} or {usual}.gz in {directory}. Expected files in MNIST's format under their usual names."
    )


def _require_one_set(directory: Path, files: Mapping[Any, Path]) -> None:
    """Raise DatasetError if there are several files, each with what marks its set."""
    if len(files) > 1:
        one, other, *_ = files.values()
        raise DatasetError(
            f"Expected the files of one set in {directory}, got those of several: {one.name}, {other.name}. Move the "
            "other sets to other folders."
        )


def _bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from None


def _content(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return a file's array: magic 0x0800 + dimensions, big-endian sizes, bytes."""
    content = _bytes(path)
    header = struct.Struct(f">{1 + dimensions}I")
    if len(content) < header.size:
        raise DatasetError(f"{path} is cut short: {len(content)} bytes.")
    magic, *shape = header.unpack_from(content)
    if magic != 0x0800 + dimensions:
        raise DatasetError(f"{path} is not an IDX file of bytes in {dimensions} dimensions.")
    expected = header.size + int(np.prod(shape))
    if len(content) != expected:
        raise DatasetError(f"{path} has {len(content):,} bytes, but its header says {expected:,}.")
    return np.frombuffer(content, np.uint8, offset=header.size).reshape(shape)
