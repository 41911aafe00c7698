"""Draws 28x28 images: pen strokes along points, and glyphs of a font."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from classifier.types import SIDE

Floats = NDArray[np.float32]

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
_ENLARGED = 6


def draw_paths(paths: Sequence[NDArray[np.floating]], width: float) -> Floats:
    """Draw one image (784,) of pen strokes. Each path (K, 2) has x, y in pixels. `width` is in pixels too."""
    canvas = Image.new("L", (SIDE * _ENLARGED, SIDE * _ENLARGED))
    pen = ImageDraw.Draw(canvas)
    radius = width * _ENLARGED / 2
    for path in paths:
        points = [tuple(point) for point in ((path + 0.5) * _ENLARGED).tolist()]
        pen.line(points, fill=255, width=round(2 * radius), joint="curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return _shrink(canvas)


@cache
def draw_glyphs(characters: str, fonts: tuple[str, ...]) -> Floats:
    """Draw images (N, 784) of every character in every font, centred, with a longer side of 20 pixels, as in MNIST."""
    return np.stack([_draw_glyph(character, font) for font in fonts for character in characters])


def _draw_glyph(character: str, font: str) -> Floats:
    face = ImageFont.truetype(str(FONTS / f"{font}.ttf"), 20 * _ENLARGED)
    left, top, right, bottom = face.getbbox(character)
    side = round(max(right - left, bottom - top) * SIDE / 20)
    canvas = Image.new("L", (side, side))
    origin = ((side - left - right) / 2, (side - top - bottom) / 2)
    ImageDraw.Draw(canvas).text(origin, character, fill=255, font=face)
    return _shrink(canvas)


def _shrink(canvas: Image.Image) -> Floats:
    small = canvas.resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.float32).reshape(-1) / np.float32(255)
