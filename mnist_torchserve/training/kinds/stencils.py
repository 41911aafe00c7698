"""The digits for the pictures, handwritten and printed: how much ink is on each pixel."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from classifier.types import SIDE
from mnist_torchserve.training.dataset import Split
from mnist_torchserve.training.drawing import FONTS

SHEET = 200  # pixels, the side of a stencil
Stencil = NDArray[np.float32]  # (rows, columns) in 0..1, how much ink is on each pixel

TYPEFACES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSansMono",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "STIXGeneral",
    "STIXGeneralBol",
    "cmr10",
    "cmb10",
    "cmss10",
)
_HEIGHT = SHEET * 20 // SIDE  # of a printed digit, like that of a written one


class Digits(NamedTuple):
    """Digits and their labels."""

    stencils: list[Stencil]
    labels: NDArray[np.uint8]


def draw(written: Split, typefaces: Sequence[str] = TYPEFACES) -> Digits:
    """Return these digits of MNIST, enlarged by bicubic interpolation, and the ten digits of each typeface."""
    stencils = [enlarged(row, SHEET) for row in written.pixels]
    stencils += [_printed(str(digit), typeface) for typeface in typefaces for digit in range(10)]
    printed = np.tile(np.arange(10, dtype=np.uint8), len(typefaces))
    return Digits(stencils, np.concatenate([written.labels, printed]))


def enlarged(pixels: NDArray[np.uint8], side: int) -> Stencil:
    """Enlarge a digit of MNIST (784,) to a stencil of `side` pixels."""
    return resized(pixels.reshape(SIDE, SIDE).astype(np.float32) / np.float32(255), side)


def resized(stencil: Stencil, side: int) -> Stencil:
    """Resize a stencil to `side` pixels."""
    return _floats(Image.fromarray((255 * stencil).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC))


def trimmed(stencil: Stencil) -> Stencil:
    """Cut a stencil to its ink."""
    rows, columns = (np.flatnonzero((stencil > 0.1).any(axis)) for axis in (1, 0))
    return stencil[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def thick(stencil: Stencil, more: int) -> Stencil:
    """Draw a stencil with a pen that is wider by `more` pixels on each side."""
    padded = np.pad(stencil, more)
    widened = Image.fromarray((255 * padded).astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * more + 1))
    return _floats(widened)


def placed(rng: Generator, stencil: Stencil, height: int, width: int) -> Stencil:
    """Place a stencil somewhere on a larger sheet of height × width pixels."""
    top = int(rng.integers(0, height - stencil.shape[0] + 1))
    left = int(rng.integers(0, width - stencil.shape[1] + 1))
    sheet = np.zeros((height, width), np.float32)
    sheet[top : top + stencil.shape[0], left : left + stencil.shape[1]] = stencil
    return sheet


def _printed(character: str, typeface: str) -> Stencil:
    face = ImageFont.truetype(str(FONTS / f"{typeface}.ttf"), _HEIGHT)
    left, top, right, bottom = face.getbbox(character)
    sheet = Image.new("L", (SHEET, SHEET))
    origin = (SHEET - left - right) / 2, (SHEET - top - bottom) / 2
    ImageDraw.Draw(sheet).text(origin, character, fill=255, font=face)
    return _floats(sheet)


def _floats(levels: Image.Image) -> Stencil:
    return np.asarray(levels, np.float32) / np.float32(255)
