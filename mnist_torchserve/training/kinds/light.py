"""Digits under uneven light: it falls off, is coloured, or something casts a shadow.

Light is a factor for each pixel: it dims ink and paper alike.
"""

import io

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from .stencils import Stencil

Light = NDArray[np.floating]  # (rows, columns) in 0..1


def photograph(
    rng: Generator, stencil: Stencil, light: Light, paper: float = 240, ink: float = 30, noise: float = 2
) -> bytes:
    """Save a digit of these levels under a light as a camera would, or without noise as PNG."""
    levels = (paper + (ink - paper) * stencil) * light + rng.normal(0, noise, stencil.shape)
    return saved(levels, "JPEG" if noise else "PNG")


def saved(levels: NDArray[np.floating], kind: str = "PNG") -> bytes:
    """Save grey levels (rows, columns), or colours (rows, columns, 3 or 4)."""
    file = io.BytesIO()
    Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8)).save(file, kind, quality=90)
    return file.getvalue()


def sloped(rng: Generator, shape: tuple[int, ...], least: float) -> Light:
    """Light that falls evenly from 1 at one side, edge or corner to `least` at the opposite one."""
    x, y = _grid(shape)
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    light: Light = least + (1 - least) * (along - along.min()) / (along.max() - along.min())
    return light


def lamp(rng: Generator, shape: tuple[int, ...], least: float) -> Light:
    """Light that falls from 1 under a lamp, anywhere over the sheet, to `least` at the farthest point."""
    x, y = _grid(shape)
    away = np.hypot(x - rng.uniform(-1, 1), y - rng.uniform(-1, 1))
    light: Light = 1 - (1 - least) * (away / away.max()) ** 1.5
    return light


def vignette(rng: Generator, shape: tuple[int, ...], least: float) -> Light:
    """Light that a lens dims towards the corners, down to `least`."""
    x, y = _grid(shape)
    away = np.hypot(x, y)
    light: Light = 1 - (1 - least) * (away / away.max()) ** rng.uniform(2, 4)
    return light


def half(rng: Generator, shape: tuple[int, ...], least: float, soft: float) -> Light:
    """A straight edge of shadow across the sheet or one corner. `soft` is its blur, as a share of the sheet's side."""
    x, y = _grid(shape)
    angle = rng.uniform(0, 2 * np.pi)
    away = x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-0.2, 0.9)
    return _shade(away > 0, least, soft)


def band(rng: Generator, shape: tuple[int, ...], least: float, soft: float) -> Light:
    """The shadow of something straight, a seventh to a third of the sheet wide, from one edge to another."""
    x, y = _grid(shape)
    angle = rng.uniform(0, 2 * np.pi)
    away = x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-0.6, 0.6)
    return _shade(np.abs(away) < rng.uniform(0.15, 0.35), least, soft)


def head(rng: Generator, shape: tuple[int, ...], least: float, soft: float) -> Light:
    """The round shadow of a head or hand that reaches in from an edge."""
    x, y = _grid(shape)
    angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1)
    far = rng.uniform(0.9, 1.3)
    return _shade(np.hypot(x - far * np.cos(angle), y - far * np.sin(angle)) < radius, least, soft)


def _shade(dark: NDArray[np.bool_], least: float, soft: float) -> Light:
    shadow = Image.fromarray((255 * dark).astype(np.uint8))
    if soft:
        pad = shadow.width  # so that blur does not end the shadow at the sheet's edge
        wide = Image.fromarray(np.pad(255 * dark.astype(np.uint8), pad, mode="edge"))
        blurred = wide.filter(ImageFilter.GaussianBlur(soft * shadow.width))
        shadow = blurred.crop((pad, pad, pad + shadow.width, pad + shadow.height))
    return 1 - (1 - np.float32(least)) * np.asarray(shadow, np.float32) / 255


def _grid(shape: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return columns and rows from -1 to 1."""
    rows, columns = shape
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    return x, y
