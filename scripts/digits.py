"""Real handwritten digits, and how they look in a terminal."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAMPLE = Path(__file__).resolve().parents[1] / "tests" / "data" / "digits.npz"

_SHADES = np.array(list(" ░▒▓█"))


def sample() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The first 500 digits of MNIST's test set: pixels (500, 784), 0 black, and labels (500,)."""
    with np.load(SAMPLE, allow_pickle=False) as arrays:
        return arrays["pixels"], arrays["labels"]


def draw(pixels: NDArray[np.uint8]) -> str:
    """One digit (784,) as at most 14 lines of text, the empty rows above and below left out.

    Ink is drawn in the terminal's own text colour, so it can be read on dark and light grounds.
    """
    rows = pixels.reshape(14, 2, 28).mean(axis=1)  # a character is about twice as high as wide
    inked = np.flatnonzero(rows.max(axis=1) >= 32)
    if inked.size:
        rows = rows[inked[0] : inked[-1] + 1]
    levels = np.minimum(rows / 256 * 5 + 0.5, 4).astype(int)
    return "\n".join("".join(line).rstrip() for line in _SHADES[levels])
