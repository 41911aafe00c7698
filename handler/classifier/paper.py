"""Grey levels -> ink on black: separates the ink on a page from its paper. Does not depend on TorchServe."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from . import flood

BLANK = 25  # of 255 grey levels; a page whose ink is all fainter is blank
_NOISE = 3  # times the border's median deviation from the paper, so about two standard deviations
_FAINT = 0.25  # of the strongest ink; weaker ink does not widen the digit's box
_NEAR = 12  # grey levels by which flat paper varies
_MOST = 0.97  # of the border is paper
_SMALL = 12  # pixels; a shorter side has no space for anything around a digit
_GRAINS = 64  # along a picture's longer side; a speck of ink is a small part of a grain
_FRAMES = 2  # one inside the other


Box = tuple[int, int, int, int]  # left, top, right, bottom


def ink(levels: Image.Image) -> tuple[Image.Image, Box | None]:
    """Turn grey levels into ink on black, about 255 - level on white paper. Omit what surrounds the page.

    Without ink the result is all black and has no box. Otherwise the box contains all but the faintest ink.
    """
    written = _ink(levels)
    box = ink_box(written)
    for _ in range(_FRAMES):
        if box is None or not _is_frame(np.asarray(written)[box[1] : box[3], box[0] : box[2]]):
            break
        levels = levels.crop(box)
        within = flood.ink(np.asarray(levels), BLANK)
        if within is None:
            break
        written = Image.fromarray(within)
        box = ink_box(written)
    return written, box


def ink_box(written: Image.Image) -> Box | None:
    """Return the box of all but the faintest ink, without specks next to it, or None if there is no ink."""
    size = max(1, max(written.size) // _GRAINS)
    coarse = _box(written.reduce(size)) if size > 1 else (0, 0, *written.size)
    if coarse is None:
        return None
    left, top = (max(0, start - 1) * size for start in coarse[:2])
    right, bottom = ((end + 1) * size for end in coarse[2:])
    fine = _box(written.crop((left, top, min(right, written.width), min(bottom, written.height))))
    return None if fine is None else (left + fine[0], top + fine[1], left + fine[2], top + fine[3])


def _box(written: Image.Image) -> Box | None:
    faint = _strongest(written) * _FAINT
    return written.point([255 * (level > faint) for level in range(256)]).getbbox()


def ink_on_flat(levels: Image.Image) -> Image.Image:
    """Find ink on paper of one tone, the median along the border. Ink is what is darker or lighter, whichever is more.

    Deviations of the paper itself, such as a camera's noise, are not ink.
    """
    border = np.concatenate(_sides(levels))
    paper = round(_median(border))
    noise = _NOISE * _median(np.abs(border - paper))
    deviation = np.arange(256) - paper
    strength = np.maximum(np.abs(deviation) - noise, 0)
    there = strength * levels.histogram()
    side = deviation > 0 if there[deviation > 0].sum() >= there[deviation < 0].sum() else deviation < 0
    written = levels.point((strength * side).round().astype(int).tolist())
    return written if _strongest(written) >= BLANK else Image.new("L", levels.size)


def _ink(levels: Image.Image) -> Image.Image:
    """Find ink on paper of one tone if the picture shows that. Otherwise flood the paper."""
    if min(levels.size) < _SMALL:
        return ink_on_flat(levels)
    sides = _sides(levels)
    paper = round(_median(np.concatenate(sides)))
    deviations = [side - paper for side in sides]
    if _is_flat(deviations, paper, levels.histogram()):
        return ink_on_flat(levels)
    flooded = flood.ink(np.asarray(levels), BLANK)
    if flooded is not None:
        return Image.fromarray(flooded)
    if all(side.any() for side in _inked(deviations, _NEAR)):
        return ink_on_flat(levels)  # a digit that fills the picture
    return Image.new("L", levels.size)  # an empty sheet, with light and shadow on it


def _sides(levels: Image.Image) -> list[NDArray[np.int16]]:
    """The outermost rows and columns."""
    pixels = np.asarray(levels)
    return [side.astype(np.int16) for side in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])]


def _is_flat(deviations: Sequence[NDArray[np.int16]], paper: int, histogram: Sequence[int]) -> bool:
    """Whether paper of one tone covers most of the picture and nearly all of its border, or a digit fills the picture.

    In the first case, all else is darker than the paper, or all else is lighter.
    """
    border = np.abs(np.concatenate(deviations))
    near = _NEAR
    if np.count_nonzero(border <= near) < _MOST * border.size:  # it may be a camera's noise
        near = max(near, _NOISE * round(max(_median(np.abs(np.diff(side))) for side in deviations)))
    less, more = sorted([sum(histogram[: max(paper - near, 0)]), sum(histogram[paper + near + 1 :])])
    is_even = np.count_nonzero(border <= near) >= _MOST * border.size
    if is_even and less + more <= sum(histogram) / 2 and less <= more / 5:
        return True
    return _is_trimmed(deviations, near)


def _is_trimmed(deviations: Sequence[NDArray[np.int16]], near: int) -> bool:
    """Whether ink reaches all four sides, and at least three as a stroke: in a piece that does not touch a corner."""
    inked = _inked(deviations, near)
    return all(side.any() for side in inked) and sum(_has_stroke(side) for side in inked) >= 3


def _inked(deviations: Sequence[NDArray[np.int16]], near: int) -> list[NDArray[np.bool_]]:
    """Return where ink would be on each side if the paper had one tone: what is darker, or what is lighter."""
    dark = [side < -near for side in deviations]
    light = [side > near for side in deviations]
    return dark if sum(side.sum() for side in dark) >= sum(side.sum() for side in light) else light


def _has_stroke(side: NDArray[np.bool_]) -> bool:
    turns = np.flatnonzero(np.diff(side.astype(np.int8), prepend=0, append=0))
    starts, ends = turns[::2], turns[1::2]
    return bool(((starts > 0) & (ends < side.size) & (ends - starts >= max(2, side.size / 50))).any())


def _is_frame(written: NDArray[np.uint8]) -> bool:
    """Whether nearly all of the edge of a box of ink is ink."""
    if min(written.shape) < _SMALL:
        return False
    edges = (written[:2], written[-2:], written[:, :2].T, written[:, -2:].T)
    faint = written.max() * _FAINT
    return all(np.count_nonzero(edge.max(0) > faint) >= 0.9 * edge.shape[1] for edge in edges)


def _median(values: NDArray[np.int16]) -> float:
    """Compute np.median, in a third of its time."""
    ordered = np.sort(values)
    return float(ordered[(values.size - 1) // 2] + ordered[values.size // 2]) / 2


def _strongest(levels: Image.Image) -> int:
    return int(levels.getextrema()[1])  # type: ignore[arg-type]  # a pair of numbers, since there is one band
