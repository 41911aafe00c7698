"""Images without a digit, of the kinds that the network learns from. `unseen.py` has none of these kinds."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from classifier.types import PIXELS, SIDE
from . import drawing
from .augmentation import Ranges, moved

Floats = NDArray[np.float32]
Points = NDArray[np.floating]
Kind = Callable[[Generator, int, Floats], Floats]

# Without letters that some people write like a digit, such as O and D (0), I, l and t (1), Z (2), Y and y (4),
# S (5), b and G (6), T (7), B (8), g and q (9).
LETTERS = "ACEFHKMNPRUWXadehkmnpuwx"
TYPEFACES = (  # from those that come with Matplotlib
    *("cmr10", "cmss10", "cmtt10", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic"),
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic"),
)
_T = np.linspace(0, 1, 12, dtype=np.float32)
_BERNSTEIN = np.stack([(1 - _T) ** 3, 3 * _T * (1 - _T) ** 2, 3 * _T**2 * (1 - _T), _T**3], axis=1)  # of a cubic curve
_LETTER_RANGES = Ranges(rotation=15, scale=0.25, shear=0.2, shift=3, elastic=1.0)


def draw(rng: Generator, count: int, digits: Floats, kinds: Mapping[Kind, int]) -> Floats:
    """Draw outliers (count, 784) of all `kinds` by their shares, shuffled. Some are made from `digits` (N, 784)."""
    if not kinds:
        return np.zeros((0, PIXELS), np.float32)
    shares = np.cumsum(list(kinds.values()))
    parts = np.diff(count * shares // shares[-1], prepend=0)
    images = np.concatenate([kind(rng, part, digits) for kind, part in zip(kinds, parts, strict=True)])
    return rng.permutation(images)


def constants(rng: Generator, count: int, _digits: Floats) -> Floats:
    """One grey level everywhere, half of the images with a faint grain."""
    levels = rng.integers(0, 256, (count, 1)) / 255
    grain = rng.normal(0, 0.05, (count, PIXELS)) * rng.integers(0, 2, (count, 1)) * rng.random((count, 1))
    return np.clip(levels + grain, 0, 1).astype(np.float32)


def noise(rng: Generator, count: int, _digits: Floats) -> Floats:
    """Every pixel drawn separately: uniform, normal, or black with white dots of some density."""
    shape = (count, PIXELS)
    uniform = rng.random(shape) * rng.uniform(0.2, 1, (count, 1))
    normal = rng.uniform(0, 1, (count, 1)) + rng.normal(0, 1, shape) * rng.uniform(0.1, 0.5, (count, 1))
    dots = rng.random(shape) < rng.uniform(0.01, 0.5, (count, 1))
    return np.clip(_one_of(rng, uniform, normal, dots), 0, 1).astype(np.float32)


def clouds(rng: Generator, count: int, _digits: Floats) -> Floats:
    """Noise of every coarseness from 2 to 14 pixels, soft or cut at a level."""
    images = np.empty((count, PIXELS), np.float32)
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
    blocks = _choice(rng, digits, count).reshape(count, 4, 7, 4, 7).transpose(0, 1, 3, 2, 4).reshape(count, 16, 49)
    order = rng.permuted(np.tile(np.arange(16), (count, 1)), axis=1)
    blocks = np.take_along_axis(blocks, order[..., None], axis=1).reshape(count, 4, 4, 7, 7)
    return blocks.transpose(0, 1, 3, 2, 4).reshape(count, -1)


def scribbles(rng: Generator, count: int, _digits: Floats) -> Floats:
    """Three to eight strokes of a pen, each a straight line or a curve from anywhere to anywhere."""
    return _scrawl(rng, count, lambda: [_stroke(rng, *rng.uniform(1, 26, (2, 2))) for _ in range(rng.integers(3, 9))])


def mirrored_scribbles(rng: Generator, count: int, _digits: Floats) -> Floats:
    """Three to five strokes and their mirror images, since most signs and things are symmetric."""

    def paths() -> list[Points]:
        half = [_stroke(rng, *rng.uniform((1, 1), (15, 26), (2, 2))) for _ in range(rng.integers(3, 6))]
        axis = int(rng.integers(2))
        both = half + [path * (-1, 1) + (SIDE - 1, 0) for path in half]
        return [path[:, :: 1 - 2 * axis] for path in both]

    return _scrawl(rng, count, paths)


def chains(rng: Generator, count: int, _digits: Floats) -> Floats:
    """One to three broken lines of five to nine corners, half of them closed."""

    def paths() -> list[Points]:
        lines = [rng.uniform(2, 25, (rng.integers(5, 10), 2)) for _ in range(rng.integers(1, 4))]
        return [np.concatenate([line, line[:1]]) if rng.random() < 0.5 else line for line in lines]

    return _scrawl(rng, count, paths)


def shapes(rng: Generator, count: int, _digits: Floats) -> Floats:
    """Three to six polygons, ellipses, arcs and strokes of many sizes."""

    def paths() -> list[Points]:
        return [
            _shape(rng) if rng.random() < 0.6 else _stroke(rng, *rng.uniform(1, 26, (2, 2)))
            for _ in range(rng.integers(3, 7))
        ]

    return _scrawl(rng, count, paths)


def turned_digits(rng: Generator, count: int, digits: Floats) -> Floats:
    """Two digits on top of each other, one of them turned by 90° to the left or right."""
    upright, other = _choice(rng, digits, 2 * count).reshape(2, count, SIDE, SIDE)
    left, right = np.rot90(other, 1, (1, 2)), np.rot90(other, 3, (1, 2))
    turned = np.where(rng.random((count, 1, 1)) < 0.5, left, right)
    return np.maximum(upright, turned).reshape(count, -1)


def letters(rng: Generator, count: int, _digits: Floats) -> Floats:
    """Printed letters that no digit looks like, bent and moved."""
    return moved(rng, _choice(rng, drawing.draw_glyphs(LETTERS, TYPEFACES), count), _LETTER_RANGES)


def spliced_letters(rng: Generator, count: int, _digits: Floats) -> Floats:
    """The left or upper half of one letter with the other half of another: signs that belong to no script."""
    one, other = letters(rng, 2 * count, _digits).reshape(2, count, SIDE, SIDE)
    half = np.arange(SIDE) < SIDE // 2
    first = np.where(rng.random((count, 1, 1)) < 0.5, half[:, None], half[None, :])
    return np.where(first, one, other).reshape(count, -1)


def mosaics(rng: Generator, count: int, digits: Floats) -> Floats:
    """Two digits side by side or four in a square, made smaller to fit."""
    four = _choice(rng, digits, 4 * count).reshape(count, 2, 2, SIDE, SIDE)
    halved = four.reshape(count, 2, 2, 14, 2, 14, 2).mean((4, 6))  # (N, row, column, 14, 14)
    square = halved.transpose(0, 1, 3, 2, 4).reshape(count, -1)
    narrow = four[:, 0].reshape(count, 2, SIDE, 14, 2).mean(-1)  # (N, column, 28, 14)
    beside = narrow.transpose(0, 2, 1, 3).reshape(count, -1)
    return _one_of(rng, square, beside).astype(np.float32)


# Share of every kind among the outliers, with more of those that are easily confused with a digit.
KINDS: dict[Kind, int] = {
    constants: 1,
    noise: 1,
    clouds: 2,
    shuffled_pixels: 1,
    shuffled_blocks: 1,
    scribbles: 3,
    mirrored_scribbles: 5,
    chains: 4,
    shapes: 6,
    letters: 6,
    spliced_letters: 5,
    mosaics: 2,
    turned_digits: 3,
}


# Kinds that show no sign at all: an outlier among digits may not be one among letters or clothes.
_ABSTRACT = (constants, noise, clouds, shuffled_pixels, shuffled_blocks)
SETS: dict[str, Mapping[Kind, int]] = {
    "digits": KINDS,
    "abstract": {kind: share for kind, share in KINDS.items() if kind in _ABSTRACT},
    "none": {},
}


def _scrawl(rng: Generator, count: int, paths: Callable[[], list[Points]]) -> Floats:
    return np.stack([drawing.draw_paths(paths(), rng.uniform(1, 3.5)) for _ in range(count)])


def _stroke(rng: Generator, start: Points, end: Points) -> Points:
    if rng.random() < 0.5:
        return np.stack([start, end])
    bends = (start + end) / 2 + rng.normal(0, 7, (2, 2))
    curve: Points = _BERNSTEIN @ np.stack([start, *bends, end])
    return curve


def _shape(rng: Generator) -> Points:
    corners = int(rng.choice([3, 4, 5, 24]))
    turn = rng.uniform(0, 2 * np.pi)
    angles = turn + np.linspace(0, 2 * np.pi, corners + 1) * rng.choice([0.5, 1], p=[0.3, 0.7])
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return rng.uniform(5, 22, 2) + circle * rng.uniform(1, 10, 2)


def _choice(rng: Generator, images: Floats, count: int) -> Floats:
    return images[rng.integers(0, len(images), count)]


def _one_of(rng: Generator, *variants: NDArray[np.generic]) -> Floats:
    """Take every row from one of the `variants`."""
    stacked = np.stack([variant.astype(np.float32) for variant in variants])
    chosen: Floats = stacked[rng.integers(0, len(stacked), stacked.shape[1]), np.arange(stacked.shape[1])]
    return chosen
