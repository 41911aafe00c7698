"""Finds the ink on a sheet of paper, in any light and whatever is around the sheet. Does not depend on TorchServe.

Water comes in from all sides of the picture and sinks as low as it can. What it reaches is the paper: the water flows
along a shadow, down a gradient of light, over a frame or a table. Dark ink is a basin in the paper. Water fills it up
to the level of the paper next to it, and the depth of that water is the ink. Light ink is a basin in the picture's
negative. In mathematical morphology, this is a reconstruction by erosion: Vincent, IEEE Transactions on Image
Processing 2(2), 1993.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.int16]  # (rows, columns), or a stack of these; 0 to 255
Mask = NDArray[np.bool_]  # (rows, columns)

_CELLS = 72  # the longest side of the flooded grid; each cell is a block of pixels
_DARKNESS = 32  # grey levels; below that, dark paper differs only by its noise
_NOISE = 0.04  # of the paper's level
_INK = 0.4  # of the strongest ink; what is stronger is surely ink
_SMALLEST = 0.08  # of the picture's longer side; anything smaller is a speck
_LEAST_CONTRAST = 0.15  # of the picture's greatest contrast
_STROKE = 16  # a stroke that reaches the picture's edge covers less than 1/16 of it


class _Found(NamedTuple):
    """Possible ink: basins of a picture, or of its negative."""

    is_light: bool
    cells: Levels
    water: Levels  # the paper's level, also under the ink
    mask: Mask  # where ink is

    @property
    def box(self) -> tuple[slice, slice]:
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)

    @property
    def area(self) -> int:
        """Cells in the box."""
        return self.mask[self.box].size

    @property
    def contrast(self) -> float:
        """The contrast of ink to paper, as the logarithm of a ratio, which does not depend on the light."""
        ink, paper = (np.median(levels[self.mask]) for levels in (self.cells, self.water))
        if self.is_light:
            ink, paper = 255 - ink, 255 - paper
        return abs(float(np.log((ink + _DARKNESS) / (paper + _DARKNESS))))


def ink(pixels: NDArray[np.uint8], blank: int) -> NDArray[np.uint8] | None:
    """Return ink on black, or None if no basin is deeper than `blank` grey levels and large enough."""
    size = -(-max(pixels.shape) // _CELLS)
    both = np.stack([pixels, 255 - pixels])
    # The darkest pixel of each block, so that no part of an edge and no noise is below the paper.
    cells = _blocks(both, size, np.minimum).astype(np.int16)
    water = _flood(cells, _shore(cells))
    found = [_basins(bool(turned), cells[turned], water[turned], blank) for turned in (0, 1)]
    chosen = _choose([each for each in found if each is not None])
    if chosen is None:
        return None
    # Twice, since water at the level of a shadow hides faint ink in the light.
    paper = np.maximum(chosen.water, _bridged(chosen.cells, chosen.mask))
    paper = np.maximum(paper, _bridged(chosen.cells, _is_ink(chosen.cells, paper, chosen.is_light, _INK / 2)))
    low = _spread(_spread(paper, np.minimum), np.minimum)  # so that the edge of a shadow is not ink
    rows, columns = pixels.shape
    whole = np.repeat(np.repeat(low, size, 0), size, 1)[:rows, :columns]
    strength = np.maximum(_strength(both[int(chosen.is_light)], whole, chosen.is_light) - _NOISE, 0)
    return np.rint(strength * (255 / strength.max())).astype(np.uint8) if strength.any() else None


def _basins(is_light: bool, cells: Levels, water: Levels, blank: int) -> _Found | None:
    if (water - cells).max() < max(blank, _LEAST_CONTRAST * np.ptp(cells)):
        return None
    found = _Found(is_light, cells, water, _is_ink(cells, water, is_light, _INK))
    return found if max(found.mask[found.box].shape) >= max(4, _SMALLEST * max(cells.shape)) else None


def _choose(found: list[_Found]) -> _Found | None:
    """Choose dark or light ink: the outer one, as a digit surrounds its loops, unless it is a page around a digit."""
    strongest = max((each.contrast for each in found), default=0)
    found = sorted((each for each in found if each.contrast > 0.3 * strongest), key=lambda each: -each.area)
    if len(found) < 2:
        return found[0] if found else None
    outer, inner = found
    filled = (outer.mask | inner.mask)[outer.box]
    is_large = min(filled.shape) > 0.7 * max(outer.mask.shape)
    within = inner.mask[inner.box]
    is_loop = within.mean() > 0.68 and min(within.shape) > 0.5 * max(within.shape)
    is_page = is_large and (filled.mean() > 0.82 or (filled.mean() > 0.65 and not is_loop))
    return inner if is_page else outer


def _is_ink(cells: Levels, paper: Levels, is_light: bool, least: float) -> Mask:
    strength = _strength(cells, paper, is_light)
    mask: Mask = strength > least * strength.max()
    return mask


def _strength(levels: NDArray[np.integer], paper: Levels, is_light: bool) -> NDArray[np.float32]:
    """Return how far levels are below the paper, as a share of the light that the paper reflects."""
    light = 255 - paper if is_light else paper
    strength: NDArray[np.float32] = np.maximum(paper - levels, 0) / (light + np.float32(_DARKNESS))
    return strength


def _bridged(cells: Levels, mask: Mask) -> Levels:
    """Return the cells, with those of ink and their neighbours as light as the lightest cell next to them."""
    paper = np.where(_spread(mask, np.logical_or), np.int16(-1), cells)
    while (gap := paper < 0).any() and not gap.all():
        paper = np.where(gap, _spread(paper, np.maximum), paper)
    return paper


def _shore(cells: Levels) -> Levels:
    """Return where the water comes in: the outermost cells, without the strokes that end there. Inside it is 255."""
    half = max(cells.shape) // _STROKE
    shore = np.full_like(cells, 255)
    for turned, edge in ((cells, shore), (cells.swapaxes(1, 2), shore.swapaxes(1, 2))):
        ends = np.pad(turned[:, [0, -1]], [(0, 0), (0, 0), (2 * half, 2 * half)], mode="edge")
        for extreme in (np.max, np.min):
            ends = extreme(np.lib.stride_tricks.sliding_window_view(ends, 2 * half + 1, axis=2), axis=3)
        edge[:, [0, -1]] = np.minimum(edge[:, [0, -1]], ends)
    return shore


def _flood(cells: Levels, start: Levels) -> Levels:
    """Lower the water from `start` until it rests: on each cell as high as the lowest way out requires."""
    if max(cells.shape) > 12:
        coarse = _flood(_blocks(cells, 2, np.maximum), _blocks(start, 2, np.maximum))
        *_, rows, columns = cells.shape
        start = np.minimum(start, np.repeat(np.repeat(coarse, 2, 1), 2, 2)[:, :rows, :columns])
    water = np.maximum(start, cells)
    while True:
        before = water
        for _ in range(4):
            water = np.maximum(cells, _spread(water, np.minimum))
        if np.array_equal(water, before):
            return water


def _blocks(levels: NDArray[Any], size: int, extreme: np.ufunc) -> NDArray[Any]:
    """Return the extreme of each block of size × size."""
    *_, rows, columns = levels.shape
    levels = np.pad(levels, [(0, 0), (0, -rows % size), (0, -columns % size)], mode="edge")
    levels = extreme.reduce([levels[:, start::size] for start in range(size)])
    blocks: NDArray[Any] = extreme.reduce([levels[..., start::size] for start in range(size)])
    return blocks


def _spread(levels: NDArray[Any], extreme: np.ufunc) -> NDArray[Any]:
    """Return each cell as the extreme of itself and its four neighbours."""
    spread = levels.copy()
    extreme(spread[..., 1:, :], levels[..., :-1, :], out=spread[..., 1:, :])
    extreme(spread[..., :-1, :], levels[..., 1:, :], out=spread[..., :-1, :])
    extreme(spread[..., 1:], levels[..., :-1], out=spread[..., 1:])
    extreme(spread[..., :-1], levels[..., 1:], out=spread[..., :-1])
    return spread
