"""A PNG, JPEG or WebP -> (784,) float32 in 0..1, by one of `READERS`. Does not depend on TorchServe.

`plain` scales the whole picture, in grey, to 28×28. `mnist` makes a digit as MNIST's digits were made:

bytes ── open_image ──> picture ── grey ──> grey levels ── ink ──> ink on black ── fit ──> 20×20 ── centre ──> 28×28

MNIST's digits were "size normalized to fit in a 20x20 pixel box while preserving their aspect ratio", with "grey levels
as a result of the anti-aliasing technique used by the normalization algorithm", and "centered in a 28x28 image by
computing the center of mass of the pixels, and translating the image so as to position this point at the center"
(LeCun, Cortes, Burges: http://yann.lecun.com/exdb/mnist; LeCun et al., Gradient-Based Learning Applied to Document
Recognition, Proceedings of the IEEE 86(11), 1998, section III.A).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from .image_files import open_image
from .paper import BLANK, Box, ink, ink_on_flat
from .types import PIXELS, SIDE, Body

BOX = 20  # pixels, the longer side of a digit
_CENTRE = 14  # the pixel, from 0, in which every digit of MNIST has its centre of mass
_SHEET = 0.5  # a sheet of paper covers at least this share of a picture and of its edge; a drawing does not
_FAINTEST = 8  # of 255; less opaque pixels count as nothing


def read(body: Body) -> NDArray[np.float32]:
    """Return the digit in an image file as MNIST would show it: (784,) in 0..1, ink 1 on paper 0.

    A page without ink is all zeros. The model's confidence for it is near 0.

    Raises:
        Refusal: as in `open_image`.
    """
    levels = grey(open_image(body))
    if levels.size == (SIDE, SIDE) and is_normal(written := ink_on_flat(levels)):
        return _floats(written)
    written, box = ink(levels)
    return np.zeros(PIXELS, np.float32) if box is None else _floats(centre(fit(written, box)))


def read_plain(body: Body) -> NDArray[np.float32]:
    """Return the whole picture in an image file: (784,) in 0..1, black 0, white 1. Raises what `read` raises."""
    return _floats(grey(open_image(body), margin=False).resize((SIDE, SIDE), Image.Resampling.BOX))


def grey(picture: Image.Image, *, margin: bool = True) -> Image.Image:
    """Convert any picture to 8 bits of grey (mode L), by the luma of ITU-R BT.601. Transparency becomes paper.

    With `margin`, a drawing on nothing gets paper around it.
    """
    if picture.mode.startswith("I"):  # 16 bits; Pillow's own conversion would keep the lower ones
        levels = np.asarray(picture)
        light = Image.fromarray((levels >> 8).astype(np.uint8))
        clear = picture.info.get("transparency")
        if clear is None:
            return light
        return _on_paper(light, Image.fromarray(255 * (levels != clear).astype(np.uint8)), margin)
    if not picture.has_transparency_data:
        return picture.convert("L")
    light, opacity = picture.convert("RGBA").convert("LA").split()
    return _on_paper(light, opacity, margin)


def _on_paper(light: Image.Image, opacity: Image.Image, margin: bool) -> Image.Image:
    """Put a partly transparent picture on paper.

    On a sheet of paper, the transparent parts get the tone of the paper: the median of the visible parts. Anything else
    is a drawing on nothing. Its paper becomes black or white, whichever is farther from the ink, and its strongest
    stroke becomes opaque, however faint the pen.
    """
    least, most = map(int, opacity.getextrema())  # type: ignore[arg-type]  # numbers, since there is one band
    if most < _FAINTEST:
        return Image.new("L", light.size, 255)
    if least == most:  # there is no drawing, and an empty page must not become a square
        return light
    opacity = opacity.point([min(255, level * 255 // most) for level in range(256)])
    levels, solid = np.asarray(light), np.asarray(opacity) >= 128
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    within = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    seen, edge = levels[solid], np.concatenate([*solid[within][[0, -1]], *solid[within][:, [0, -1]].T])
    is_sheet = min(solid[within].mean(), edge.mean()) >= _SHEET and np.ptp(seen) >= BLANK
    if is_sheet:
        return Image.composite(light, Image.new("L", light.size, int(np.median(seen))), opacity)
    width = max(light.size) // 4 + 1 if margin else 0
    sheet = Image.new("L", (light.width + 2 * width, light.height + 2 * width), 255 * int(seen.mean() < 128))
    sheet.paste(light, (width, width), opacity)
    return sheet


def is_normal(written: Image.Image) -> bool:
    """Whether ink on 28×28 already has MNIST's size and place: the box 20 long, the centre of mass in the middle."""
    box = written.getbbox()
    if box is None:
        return False
    left, top, right, bottom = box
    return max(right - left, bottom - top) == BOX and _position(written.crop(box)) == (left, top)


def fit(written: Image.Image, box: Box) -> Image.Image:
    """Cut out the box of ink and scale it, anti-aliased, to 20 pixels on its longer side. The strongest becomes 255."""
    left, top, right, bottom = box
    scale = BOX / max(right - left, bottom - top)
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    digit = written.resize(size, Image.Resampling.BICUBIC, box, reducing_gap=3)
    strongest = int(digit.getextrema()[1])  # type: ignore[arg-type]  # as above
    return digit.point(lambda level: level * 255 / strongest)


def centre(digit: Image.Image) -> Image.Image:
    """Place a digit of at most 20×20 so that its centre of mass is in the middle of 28×28."""
    page = Image.new("L", (SIDE, SIDE))
    page.paste(digit, _position(digit))
    return page


def _position(digit: Image.Image) -> tuple[int, int]:
    """Return the left and top of a centred digit."""
    mass = np.asarray(digit, np.float64)
    total = mass.sum() or 1
    across, down = mass.sum(0) @ np.arange(digit.width) / total, mass.sum(1) @ np.arange(digit.height) / total
    left, top = round(_CENTRE - across), round(_CENTRE - down)
    return min(max(left, 0), SIDE - digit.width), min(max(top, 0), SIDE - digit.height)


def _floats(page: Image.Image) -> NDArray[np.float32]:
    return np.asarray(page, np.float32).reshape(-1) / np.float32(255)


# How pictures become a model's pixels, by the setting `pictures` of its model-config.yaml.
READERS: dict[str, Callable[[Body], NDArray[np.float32]]] = {"mnist": read, "plain": read_plain}
