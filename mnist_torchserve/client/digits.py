"""Real handwritten digits, and how to draw them in a terminal."""

import numpy as np
from numpy.typing import NDArray
from classifier.types import PIXELS, SIDE
from mnist_torchserve import contract

Levels = NDArray[np.uint8]

_SHADES = np.array(list(" ░▒▓█"))


def sample() -> tuple[Levels, Levels]:
    """Return the first 500 digits of MNIST's test set: pixels (500, 784), 0 black, and labels (500,)."""
    pixels, labels = contract.sample()
    # Copies, since torch needs writable arrays.
    return np.frombuffer(pixels, np.uint8).reshape(-1, PIXELS).copy(), np.frombuffer(labels, np.uint8).copy()


def floats(levels: Levels) -> NDArray[np.float32]:
    """Convert grey levels 0..255 to what the service gets: float32 in 0..1."""
    return levels.astype(np.float32) / np.float32(255)


def levels(floats: NDArray[np.float32]) -> Levels:
    """Convert floats to the nearest grey levels."""
    nearest: Levels = np.rint(floats * 255).astype(np.uint8)
    return nearest


def draw(pixels: Levels) -> str:
    """Draw one digit (784,) as at most 14 lines of text, without the empty rows above and below.

    Ink has the terminal's own text colour, so that it is visible on dark and light backgrounds.
    """
    rows = pixels.reshape(SIDE // 2, 2, SIDE).mean(axis=1)  # a character is about twice as high as wide
    inked = np.flatnonzero(rows.max(axis=1) >= 32)
    if inked.size:
        rows = rows[inked[0] : inked[-1] + 1]
    shades = np.minimum(rows / 256 * 5 + 0.5, 4).astype(int)
    return "\n".join("".join(line).rstrip() for line in _SHADES[shades])
