"""Pictures as files, and digits as pictures."""

import io
from typing import Any

import numpy as np
from PIL import Image
from classifier.types import SIDE


def picture(levels: Any) -> Image.Image:
    """A picture of these levels: rows of levels, or the pixels (784,) of a digit."""
    rows = np.asarray(levels, np.uint8)
    return Image.fromarray(rows.reshape(SIDE, SIDE) if rows.ndim == 1 else rows)


def saved(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    """The file of a picture, or of levels as `picture` takes them."""
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else picture(image)).save(file, kind, **options)
    return file.getvalue()
