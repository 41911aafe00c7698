"""Images without a digit, of kinds that the network never learned from, to test its confidence.

`outliers.py` has the kinds that it learned from. The two files have no kind in common.
"""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from numpy.random import Generator
from PIL import Image
from classifier.types import SIDE
from . import drawing
from .augmentation import Ranges, moved
from .outliers import Floats, Kind

_RANGES = Ranges(rotation=15, scale=0.15, shear=0.1, shift=2, elastic=0.5)
SYMBOLS = "ΔΛΞΠΣΦΨΩλμπψωЖЩЮЯЭЫДЦ♠♣♥♦♫☎☂★☺✂✈✿☃♞∞≠±÷√%&@#€¶"
_TYPEFACES = ("DejaVuSans", "DejaVuSans-Bold")
_PHOTOGRAPH = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"  # public domain


def drawings(rng: Generator, count: int, _digits: Floats) -> Floats:
    """Pen drawings of things: a house, a star, a tree and ten more."""
    names = rng.choice(list(_PICTURES), count)
    images = np.stack([_draw_picture(_PICTURES[name], rng) for name in names])
    return moved(rng, images, _RANGES)


def symbols(rng: Generator, count: int, _digits: Floats) -> Floats:
    """Printed characters of other scripts, signs and pictographs."""
    glyphs = drawing.draw_glyphs(SYMBOLS, _TYPEFACES)
    return moved(rng, glyphs[rng.integers(0, len(glyphs), count)], _RANGES)


def textures(rng: Generator, count: int, _digits: Floats) -> Floats:
    """Stripes, checkerboards, rings and even gradients, at any angle, pitch and contrast."""
    angle = rng.uniform(0, 2 * np.pi, (count, 1))
    y, x = (np.indices((SIDE, SIDE)) - (SIDE - 1) / 2).reshape(2, 1, -1)
    across, along = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    pitch, phase = rng.uniform(3, 14, (count, 1)), rng.uniform(0, 2 * np.pi, (count, 1))
    stripes, crossing = (np.sin(2 * np.pi * axis / pitch + phase) for axis in (across, along))
    away = np.hypot(x - rng.uniform(-8, 8, (count, 1)), y - rng.uniform(-8, 8, (count, 1)))
    rings = np.sin(2 * np.pi * away / pitch + phase)
    waves = np.stack([stripes, stripes * crossing, rings, across / SIDE])[rng.integers(0, 4, count), np.arange(count)]
    sharp = np.where(rng.random((count, 1)) < 0.5, 1, 20)
    contrast = rng.uniform(0.3, 1, (count, 1))
    images: Floats = (0.5 + np.clip(waves * sharp, -1, 1) * contrast / 2).astype(np.float32)
    return images


def photographs(rng: Generator, count: int, _digits: Floats) -> Floats:
    """Square pieces of a photograph, 28 to 250 pixels wide before they are made smaller."""
    photograph = _photograph()
    images = []
    for _ in range(count):
        side = int(rng.integers(28, 251))
        left = int(rng.integers(0, photograph.width - side + 1))
        top = int(rng.integers(0, photograph.height - side + 1))
        piece = photograph.resize((SIDE, SIDE), Image.Resampling.BOX, (left, top, left + side, top + side))
        images.append(np.asarray(piece, np.float32).reshape(-1) / np.float32(255))
    return np.stack(images)


KINDS: dict[str, Kind] = {kind.__name__: kind for kind in (drawings, symbols, textures, photographs)}


@cache
def _photograph() -> Image.Image:
    return Image.open(_PHOTOGRAPH).convert("L")


def _draw_picture(paths: list[Floats], rng: Generator) -> Floats:
    """Draw `paths`, which are in the unit square, with an unsteady hand and any pen."""
    shaky = [4 + 20 * (path + rng.normal(0, 0.015, path.shape)) for path in paths]
    return drawing.draw_paths([path.astype(np.float32) for path in shaky], rng.uniform(1, 3))


def _path(*points: tuple[float, float]) -> Floats:
    return np.array(points, np.float32)


def _arc(
    x: float, y: float, radius: float, *, start: float = 0, turn: float = 1, end_radius: float | None = None
) -> Floats:
    """Return points on a circle around (x, y), with `start` and `turn` in whole turns; a spiral with `end_radius`."""
    t = np.linspace(0, 1, 9 + int(16 * abs(turn)))
    angle = 2 * np.pi * (start + turn * t)
    away = radius + ((radius if end_radius is None else end_radius) - radius) * t
    return np.stack([x + away * np.cos(angle), y + away * np.sin(angle)], axis=1).astype(np.float32)


_PICTURES: dict[str, list[Floats]] = {
    "house": [
        _path((0.15, 1), (0.15, 0.45), (0.5, 0), (0.85, 0.45), (0.85, 1), (0.15, 1)),
        _path((0.42, 1), (0.42, 0.7), (0.6, 0.7), (0.6, 1)),
    ],
    "star": [np.concatenate([_arc(0.5, 0.5, 0.5, start=-0.25 + turn / 5, turn=0)[:1] for turn in (0, 2, 4, 6, 8, 10)])],
    "tree": [
        _path((0.5, 0), (0.2, 0.4), (0.8, 0.4), (0.5, 0)),
        _path((0.5, 0.4), (0.1, 0.8), (0.9, 0.8), (0.5, 0.4)),
        _path((0.5, 0.8), (0.5, 1)),
    ],
    "face": [
        _arc(0.5, 0.5, 0.5),
        _arc(0.33, 0.4, 0.03),
        _arc(0.67, 0.4, 0.03),
        _arc(0.5, 0.5, 0.28, start=0.05, turn=0.4),
    ],
    "arrow": [_path((0, 0.5), (1, 0.5)), _path((0.65, 0.2), (1, 0.5), (0.65, 0.8))],
    "envelope": [_path((0, 0.2), (1, 0.2), (1, 0.8), (0, 0.8), (0, 0.2), (0.5, 0.55), (1, 0.2))],
    "figure": [
        _arc(0.5, 0.13, 0.13),
        _path((0.5, 0.26), (0.5, 0.65)),
        _path((0.2, 0.4), (0.8, 0.4)),
        _path((0.2, 1), (0.5, 0.65), (0.8, 1)),
    ],
    "sun": [
        _arc(0.5, 0.5, 0.22),
        *(
            _path((0.5 + 0.3 * c, 0.5 + 0.3 * s), (0.5 + 0.5 * c, 0.5 + 0.5 * s))
            for c, s in ((np.cos(a), np.sin(a)) for a in np.arange(8) * np.pi / 4)
        ),
    ],
    "fish": [
        _path((1, 0.25), (0.6, 0.62), (0.3, 0.75), (0, 0.5), (0.3, 0.25), (0.6, 0.38), (1, 0.75), (1, 0.25)),
        _arc(0.2, 0.43, 0.02),
    ],
    "spiral": [_arc(0.5, 0.5, 0.03, turn=3, end_radius=0.5)],
    "boat": [
        _path((0, 0.7), (1, 0.7), (0.8, 1), (0.2, 1), (0, 0.7)),
        _path((0.5, 0.7), (0.5, 0), (0.9, 0.6), (0.5, 0.6)),
    ],
    "bolt": [_path((0.6, 0), (0.2, 0.55), (0.5, 0.55), (0.35, 1), (0.8, 0.4), (0.5, 0.4), (0.6, 0))],
    "table": [
        _path((0, 0), (1, 0), (1, 1), (0, 1), (0, 0)),
        _path((0.33, 0), (0.33, 1)),
        _path((0.67, 0), (0.67, 1)),
        _path((0, 0.33), (1, 0.33)),
        _path((0, 0.67), (1, 0.67)),
    ],
}
