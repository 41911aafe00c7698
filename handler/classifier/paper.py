"""Grey levels -> ink on black: what of a picture is paper, in its light and shadows, and what lies around it.

The paper is what can be reached from the picture's edge without crossing ink.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Levels = NDArray[np.int16]  # (rows, columns)

BLANK = 25  # of 255 grey levels: with no ink stronger than that a page is blank
_NOISE = 3  # times the border's median deviation from the paper, so about two standard deviations
_NEAR = 12  # grey levels
_CELLS = 96


def ink(levels: Image.Image) -> Image.Image:
    pixels = np.asarray(levels)
    written = _written(levels)
    for _ in range(2):
        box = ink_box(written)
        if box is None:
            break
        crop = written.crop(box)
        c = np.asarray(crop)
        strongest = c.max()
        if min(c.shape) < 12:
            break
        sides = [c[:2].max(0), c[-2:].max(0), c[:, :2].max(1), c[:, -2:].max(1)]
        if min((side > strongest * 0.25).mean() for side in sides) < 0.9:
            break
        inner = _flooded(np.asarray(levels.crop(box)))
        if inner is None:
            break
        levels, written = levels.crop(box), inner
    return written


def ink_box(written):
    strongest = int(written.getextrema()[1])
    return written.point(lambda level: 255 * (level > strongest * 0.25)).getbbox()


def _written(levels: Image.Image) -> Image.Image:
    pixels = np.asarray(levels)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).astype(np.int16)
    paper = round(np.median(border))
    deviation = np.abs(border - paper)
    noise = _NOISE * np.median(deviation)
    histogram = np.array(levels.histogram())
    grain = max(float(np.median(np.abs(np.diff(side.astype(np.int16))))) for side in (pixels[0], pixels[:, 0], pixels[-1], pixels[:, -1])) if min(pixels.shape) > 1 else 0
    near = max(_NEAR, _NOISE * grain)
    around = np.abs(np.arange(256) - paper) <= near
    if min(pixels.shape) >= 12 and ((deviation <= near).mean() < 0.97 or 2 * histogram[around].sum() < pixels.size):
        found = None if _is_trimmed(pixels, paper, near) else _flooded(pixels)
        if found is not None:
            return found
    return _flat(levels, histogram, paper, noise)


def _is_trimmed(pixels, paper, near):
    """Whether ink touches all four sides, and some of them as a stroke does: not at a corner."""
    difference = pixels[:, [0, -1]].T.astype(np.int16) - paper, pixels[[0, -1]].astype(np.int16) - paper
    sides = [*difference[0], *difference[1]]
    dark = sum((side < -near).sum() for side in sides) >= sum((side > near).sum() for side in sides)
    inked = [(side < -near) if dark else (side > near) for side in sides]
    if not all(side.any() for side in inked):
        return False
    return sum(_has_stroke(side) for side in inked) >= 3


def _has_stroke(side):
    """Whether there is a run of ink within a side that reaches neither end."""
    ends = np.flatnonzero(np.diff(np.concatenate([[0], side.astype(np.int8), [0]])))
    starts, stops = ends[::2], ends[1::2]
    runs = (starts > 0) & (stops < side.size) & (stops - starts >= max(2, 0.02 * side.size))
    return bool(runs.any())


def _flat(levels, histogram, paper, noise):
    deviation = np.arange(256) - paper
    strength = np.maximum(np.abs(deviation) - noise, 0)
    there = strength * histogram
    side = deviation > 0 if there[deviation > 0].sum() >= there[deviation < 0].sum() else deviation < 0
    written = levels.point((strength * side).round().astype(int).tolist())
    return written if written.getextrema()[1] >= BLANK else Image.new("L", levels.size)


def _flooded(pixels):
    size = -(-max(pixels.shape) // _CELLS)
    candidates = []
    for light in (False, True):
        whole = 255 - pixels if light else pixels
        cells = _blocks(whole, size, np.minimum).astype(np.int16)
        filled = _fill(cells, _edge(cells))
        depth = _strength(cells, filled, light)
        strongest = depth.max()
        if strongest < 0.12 or (filled - cells).max() < 0.15 * np.ptp(cells):
            continue
        mask = depth > 0.4 * strongest
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        if max(bottom - top, right - left) < max(4, 0.08 * max(cells.shape)):
            continue
        area = (bottom - top) * (right - left)
        candidates.append((area, (top, left, bottom, right), mask, _contrast(np.median(cells[mask]), np.median(filled[mask]), light), light, whole, cells, filled))
    if not candidates:
        return None
    most = max(c[3] for c in candidates)
    candidates = [c for c in candidates if c[3] > 0.3 * most]
    candidates.sort(key=lambda c: -c[0])
    if len(candidates) == 2:
        outer, inner = candidates
        top, left, bottom, right = outer[1]
        both = (outer[2] | inner[2])[top:bottom, left:right]
        t, l, b, r = inner[1]
        loop = _round(inner[2][t:b, l:r])
        if min(both.shape) > 0.7 * max(cells.shape) and (both.mean() > 0.82 or (both.mean() > 0.65 and not loop)):
            candidates = candidates[1:]
    _, _, mask, _, light, whole, cells, filled = candidates[0]
    filled = np.maximum(filled, _bridge(cells, mask))
    depth = _strength(cells, filled, light)
    filled = np.maximum(filled, _bridge(cells, depth > 0.25 * depth.max()))
    low = _spread(filled, np.minimum)
    paper = np.repeat(np.repeat(low, size, 0), size, 1)[: whole.shape[0], : whole.shape[1]]
    strength = _strength(whole.astype(np.int16), paper, light)
    strength = np.maximum(strength - 0.04, 0)
    return Image.fromarray(np.rint(strength * (255 / strength.max())).astype(np.uint8))


def _round(mask):
    return mask.mean() > 0.68 and min(mask.shape) > 0.5 * max(mask.shape)


def _strength(cells, filled, light):
    difference = np.maximum(filled - cells, 0)
    return difference / np.float32(1) / ((255 - filled if light else filled) + np.float32(32))


def _contrast(ink, paper, light):
    if light:
        ink, paper = 255 - ink, 255 - paper
    return abs(np.log((ink + 32) / (paper + 32)))


def _bridge(cells, mask):
    """The paper under ink is the lightest beside it."""
    paper = np.where(_cross(mask, np.maximum), np.int16(-1), cells)
    while (gap := paper < 0).any():
        paper = np.where(gap, _cross(paper, np.maximum), paper)
    return paper


def _blocks(pixels, size, extreme):
    """The extreme of each block."""
    for axis in (0, 1):
        pixels = extreme.reduceat(pixels, np.arange(0, pixels.shape[axis], size), axis=axis)
    return pixels


def _edge(cells):
    """The outermost cells as paper, strokes bridged that end there; (rows, columns), 255 within."""
    rows, columns = cells.shape
    ring = np.concatenate([cells[0], cells[1:-1, -1], cells[-1, ::-1], cells[-2:0:-1, 0]])
    half = max(cells.shape) // 16
    closed = np.pad(ring, 2 * half, mode="wrap")
    closed = np.lib.stride_tricks.sliding_window_view(closed, 2 * half + 1).max(1)
    closed = np.lib.stride_tricks.sliding_window_view(closed, 2 * half + 1).min(1)
    edge = np.full_like(cells, 255)
    edge[0] = closed[:columns]
    edge[1:-1, -1] = closed[columns : columns + rows - 2]
    edge[-1] = closed[columns + rows - 2 : 2 * columns + rows - 2][::-1]
    edge[1:-1, 0] = closed[2 * columns + rows - 2 :][::-1]
    return edge


def _fill(cells, start):
    if max(cells.shape) > 12:
        coarse = _fill(_blocks(cells, 2, np.maximum), _blocks(start, 2, np.maximum))
        start = np.minimum(start, np.repeat(np.repeat(coarse, 2, 0), 2, 1)[: cells.shape[0], : cells.shape[1]])
    filled = np.maximum(start, cells)
    while True:
        before = filled
        for _ in range(4):
            filled = np.maximum(cells, _cross(filled, np.minimum))
        if (filled == before).all():
            return filled


def _cross(cells, extreme):
    out = cells.copy()
    extreme(out[1:], cells[:-1], out=out[1:])
    extreme(out[:-1], cells[1:], out=out[:-1])
    extreme(out[:, 1:], cells[:, :-1], out=out[:, 1:])
    extreme(out[:, :-1], cells[:, 1:], out=out[:, :-1])
    return out


def _spread(cells, extreme):
    return _cross(_cross(cells, extreme), extreme)
