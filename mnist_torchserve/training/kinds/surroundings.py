"""Sheets of paper with something else around the digit: a frame, bars, a table, lines."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from .stencils import Stencil, resized

Levels = NDArray[np.floating]  # (rows, columns), 0 black to 255 white
PAPER, INK = 245, 25


def sheet(stencil: Stencil, paper: float = PAPER, ink: float = INK) -> Levels:
    """Draw a digit on plain paper."""
    return paper + (ink - paper) * stencil


def framed(rng: Generator, stencil: Stencil, least: int, most: int, inset: int = 0) -> Levels:
    """Draw a digit in a frame of `least` to `most` pixels, in any visible grey, up to `inset` pixels from the edge."""
    levels = sheet(stencil)
    width, away, tone = int(rng.integers(least, most + 1)), int(rng.integers(0, inset + 1)), rng.uniform(0, 170)
    inner = np.zeros(levels.shape, bool)
    outer = inner.copy()
    end = away + width
    outer[away : levels.shape[0] - away, away : levels.shape[1] - away] = True
    inner[end : levels.shape[0] - end, end : levels.shape[1] - end] = True
    return np.where(outer & ~inner, tone, levels)


def rounded(rng: Generator, stencil: Stencil) -> Levels:
    """Draw a digit with dark rounded corners, as on a screenshot."""
    side = stencil.shape[0]
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, side - 1, side - 1), int(rng.integers(10, 50)), 255)
    return np.where(np.asarray(mask) > 0, sheet(stencil), rng.uniform(0, 90))


def barred(rng: Generator, stencil: Stencil, beside: bool) -> Levels:
    """Draw a digit between dark bars, up to a quarter of the sheet's side: left and right, or above and below."""
    widths = rng.integers(1, stencil.shape[0] // 4, 2)
    around = [(0, 0), tuple(widths)] if beside else [tuple(widths), (0, 0)]
    return np.pad(sheet(stencil), around, constant_values=rng.uniform(0, 60))


def on_table(rng: Generator, stencil: Stencil, sides: int) -> Levels:
    """Draw a tilted sheet that does not fill the picture: a table is visible next to `sides` of its sides."""
    side = stencil.shape[0]
    margin = side // 14  # so that the table does not reach the ink
    levels = np.pad(sheet(resized(stencil, side - 2 * margin)), margin, constant_values=PAPER)
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    tone, first = rng.uniform(20, 110), int(rng.integers(0, 4))
    for turn in range(first, first + sides):
        angle = turn * np.pi / 2 + rng.uniform(-0.12, 0.12)
        levels = np.where(x * np.cos(angle) + y * np.sin(angle) > rng.uniform(0.82, 0.95), tone, levels)
    return levels + rng.normal(0, 2, levels.shape)


def ruled(rng: Generator, stencil: Stencil, squared: bool) -> Levels:
    """Draw a digit on paper with fine pale lines."""
    levels = sheet(stencil)
    pitch, tone = int(rng.integers(14, 30)), rng.uniform(200, 225)
    pale = levels.copy()
    pale[int(rng.integers(0, pitch)) :: pitch] = tone
    if squared:
        pale[:, int(rng.integers(0, pitch)) :: pitch] = tone
    return np.minimum(levels, pale)


def specked(rng: Generator, stencil: Stencil) -> Levels:
    """Draw a digit with some specks of dust that are fainter than ink."""
    levels = sheet(stencil)
    rows, columns = rng.integers(0, levels.shape[0], (2, 20))
    levels[rows, columns] = np.minimum(levels[rows, columns], 200)
    return levels
