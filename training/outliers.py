"""Images that show no digit, of the kinds that the network learns from. None of `unseen.py`'s kinds is among them."""

from collections.abc import Callable

import canvas
import numpy as np
import torch
from augmentation import Ranges, distort
from numpy.random import Generator
from numpy.typing import NDArray

SIDE = 28
Floats = NDArray[np.float32]
Kind = Callable[[Generator, int, Floats], Floats]

# Neither I, L nor O, o, l, i, and none that one hand or another writes as a digit: b 6, B 8, g 9, q 9, s 5, S 5, Z 2, z 2,
# D 0, Q 0, G 6, J, j, t, T, f, r, v, y and Y as 1, 4 or 7.
LETTERS = "ACEFHKMNPRUWXadehkmnpuwx"
TYPEFACES = tuple(
    f"DejaVu{face}"
    for face in ("Sans", "Sans-Bold", "Sans-Oblique", "SansMono", "Serif", "Serif-Bold", "Serif-Italic")
)
_T = np.linspace(0, 1, 12, dtype=np.float32)
_BERNSTEIN = np.stack(
    [(1 - _T) ** 3, 3 * _T * (1 - _T) ** 2, 3 * _T**2 * (1 - _T), _T**3], axis=1
)  # of a cubic curve
_LETTER_RANGES = Ranges(rotation=15, scale=0.25, shear=0.2, shift=3, elastic=1.0)


def draw(rng: Generator, count: int, digits: Floats) -> Floats:
    """`count` outliers (count, 784), the kinds in equal parts and shuffled; some are made of `digits` (N, 784)."""
    parts = np.array_split(np.arange(count), len(KINDS))
    images = np.concatenate(
        [kind(rng, len(part), digits) for kind, part in zip(KINDS.values(), parts, strict=True)]
    )
    return rng.permutation(images)


def constants(rng: Generator, count: int, _digits: Floats) -> Floats:
    """One grey level all over, half of them under a faint grain."""
    levels = rng.integers(0, 256, (count, 1)) / 255
    grain = (
        rng.normal(0, 0.05, (count, SIDE * SIDE)) * rng.integers(0, 2, (count, 1)) * rng.random((count, 1))
    )
    return np.clip(levels + grain, 0, 1).astype(np.float32)


def noise(rng: Generator, count: int, _digits: Floats) -> Floats:
    """Every pixel drawn by itself: uniform, normal, or black with white dots of some density."""
    shape = (count, SIDE * SIDE)
    uniform = rng.random(shape) * rng.uniform(0.2, 1, (count, 1))
    normal = rng.uniform(0, 1, (count, 1)) + rng.normal(0, 1, shape) * rng.uniform(0.1, 0.5, (count, 1))
    dots = rng.random(shape) < rng.uniform(0.01, 0.5, (count, 1))
    return np.clip(_one_of(rng, uniform, normal, dots), 0, 1).astype(np.float32)


def clouds(rng: Generator, count: int, _digits: Floats) -> Floats:
    """Noise of every coarseness from 2 to 14 pixels, soft or cut at a level."""
    images = np.empty((count, SIDE * SIDE), np.float32)
    for index in range(count):
        cells = int(rng.integers(2, 15))
        coarse = torch.from_numpy(rng.random((1, 1, cells, cells), dtype=np.float32))
        fine = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=True)
        images[index] = fine.numpy().reshape(-1)
    sharpness = np.exp(rng.uniform(0, 4, (count, 1)))
    level = rng.uniform(0.3, 0.7, (count, 1))
    return np.clip((images - level) * sharpness + 0.5, 0, 1).astype(np.float32)


def shuffled_pixels(rng: Generator, count: int, digits: Floats) -> Floats:
    """A digit's pixels in any order."""
    return rng.permuted(_choice(rng, digits, count), axis=1)


def shuffled_blocks(rng: Generator, count: int, digits: Floats) -> Floats:
    """A digit cut into 16 blocks of 7x7, put together in any order."""
    blocks = (
        _choice(rng, digits, count).reshape(count, 4, 7, 4, 7).transpose(0, 1, 3, 2, 4).reshape(count, 16, 49)
    )
    order = rng.permuted(np.tile(np.arange(16), (count, 1)), axis=1)
    blocks = np.take_along_axis(blocks, order[..., None], axis=1).reshape(count, 4, 4, 7, 7)
    return blocks.transpose(0, 1, 3, 2, 4).reshape(count, -1)


def strokes(rng: Generator, count: int, _digits: Floats) -> Floats:
    """Scribbles: three to eight strokes of a pen, each a straight line or a cubic curve through the page."""
    images = [
        canvas.draw_paths([_stroke(rng) for _ in range(rng.integers(3, 9))], rng.uniform(1, 3.5))
        for _ in range(count)
    ]
    return np.stack(images)


def _stroke(rng: Generator) -> Floats:
    knots = rng.uniform(1, SIDE - 2, (4, 2)).astype(np.float32)
    return knots[::3] if rng.random() < 0.4 else _BERNSTEIN @ knots


def letters(rng: Generator, count: int, _digits: Floats) -> Floats:
    """Printed letters that no digit looks like, bent and moved."""
    glyphs = torch.from_numpy(_choice(rng, canvas.draw_glyphs(LETTERS, TYPEFACES), count))
    seed = torch.Generator().manual_seed(int(rng.integers(2**31)))
    return distort(glyphs, _LETTER_RANGES, seed).numpy()


def mosaics(rng: Generator, count: int, digits: Floats) -> Floats:
    """Two digits side by side or four in a square, made smaller to fit."""
    four = _choice(rng, digits, 4 * count).reshape(count, 2, 2, SIDE, SIDE)
    halved = four.reshape(count, 2, 2, 14, 2, 14, 2).mean((4, 6))  # (N, row, column, 14, 14)
    square = halved.transpose(0, 1, 3, 2, 4).reshape(count, -1)
    narrow = four[:, 0].reshape(count, 2, SIDE, 14, 2).mean(-1)  # (N, column, 28, 14)
    beside = narrow.transpose(0, 2, 1, 3).reshape(count, -1)
    return _one_of(rng, square, beside).astype(np.float32)


KINDS: dict[str, Kind] = {
    kind.__name__.replace("_", " "): kind
    for kind in (constants, noise, clouds, shuffled_pixels, shuffled_blocks, strokes, letters, mosaics)
}


def _choice(rng: Generator, images: Floats, count: int) -> Floats:
    return images[rng.integers(0, len(images), count)]


def _one_of(rng: Generator, *variants: NDArray[np.generic]) -> Floats:
    """For every row, that row of one of the `variants`."""
    stacked = np.stack([variant.astype(np.float32) for variant in variants])
    return stacked[rng.integers(0, len(stacked), stacked.shape[1]), np.arange(stacked.shape[1])]
