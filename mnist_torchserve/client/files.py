"""Reads files with digits as the service itself reads them.

file ── PNG, JPEG, WebP, JSON: batch.read; .npy: NumPy ──> images (784,), or why there is none
"""

import io
import warnings
from contextlib import suppress
from typing import Literal

import numpy as np
from PIL import Image, ImageOps
from classifier import batch, image_files
from classifier.payload import refuse_out_of_range
from classifier.types import PIXELS, SIDE, Model, Pixels, Refusal, Request

_NUMPY = b"\x93NUMPY"
_SHAPES = ((PIXELS,), (SIDE, SIDE))
_LONGER_SIDE = 640  # pixels, of a photograph after it is made smaller


def read(content: bytes, pictures: Literal["mnist", "plain"] = "mnist") -> list[Pixels | Refusal]:
    """Read the images in a file, by its first bytes. Each is pixels (784,) in 0..1, or the reason why there are none.

    `pictures` says how pictures are read for the model.
    """
    if content.startswith(_NUMPY):
        pixels, refusals = _array(content)
    else:
        media_type = "image/png" if image_files.is_image(content) else "application/json"
        found = batch.read([Request(content, media_type)], Model("", "", pictures=pictures))
        pixels, refusals = found.pixels, found.refusals
    return [refusals.get(row, image) for row, image in enumerate(pixels)]


def smaller(content: bytes) -> tuple[bytes, str]:
    """Make a picture smaller if a service would not read it, with a note that says so. Return all else unchanged."""
    if not image_files.is_image(content):
        return content, ""
    with suppress(Exception), warnings.catch_warnings(action="ignore"):  # `read` reports damage
        photograph = Image.open(io.BytesIO(content))
        width, height = photograph.size
        if width * height > image_files.MAX_PIXELS or max(width, height) > image_files.MAX_SIDE:
            photograph.draft(None, (2 * _LONGER_SIDE, 2 * _LONGER_SIDE))  # decodes a JPEG at a fraction of its size
            picture = ImageOps.exif_transpose(photograph)
            picture.thumbnail((_LONGER_SIDE, _LONGER_SIDE))
            file = io.BytesIO()
            picture.save(file, "PNG")
            return file.getvalue(), f"made smaller: {picture.width} × {picture.height} of {width} × {height} pixels"
    return content, ""


def _array(content: bytes) -> tuple[Pixels, dict[int, Refusal]]:
    """Read an array of one or more images. Integers are grey levels from 0 to 255."""
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
        if array.shape not in _SHAPES and array.shape[1:] not in _SHAPES:
            raise ValueError(f"it has the shape {array.shape} instead of (784,), (28, 28), (n, 784) or (n, 28, 28)")
        with np.errstate(over="ignore"):  # values beyond float32 become infinite, so they are out of range
            pixels = array.astype(np.float32).reshape(-1, PIXELS)
    except (ValueError, TypeError, EOFError) as error:
        wrong = Refusal("malformed", f"Expected a .npy file of images: {error}.")
        return np.zeros((1, PIXELS), np.float32), {0: wrong}
    if array.dtype.kind in "ui":
        pixels /= 255
    return pixels, refuse_out_of_range(pixels, lambda image: f"image {image}")
