"""Files that hold digits, read as the service itself reads them.

file ── PNG, JPEG: images.read; .npy: NumPy; all else: protocols.decode, as JSON ──> images (784,), or why there is none
"""

import io

import images
import numpy as np
import payload
import protocols
import tensors
from payload import PayloadError, Pixels

_NUMPY = b"\x93NUMPY"
_SHAPES = ((784,), (28, 28))


def read(content: bytes) -> list[Pixels | PayloadError]:
    """The images in a file, whose first bytes tell its kind: each as pixels (784,) in 0..1, or why there are none."""
    if content.startswith(_NUMPY):
        pixels, errors = _array(content)
    else:
        media_type = "image/png" if images.is_image(content) else "application/json"
        pixels, errors, _ = protocols.decode([(content, media_type)], tensors.Model("", ""))
    return [errors.get(row, image) for row, image in enumerate(pixels)]


def _array(content: bytes) -> tuple[Pixels, dict[int, PayloadError]]:
    """An array of one or more images; integers are grey levels from 0 to 255."""
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
        if array.shape not in _SHAPES and array.shape[1:] not in _SHAPES:
            raise ValueError(f"it has the shape {array.shape} in place of (784,), (28, 28), (n, 784) or (n, 28, 28)")
        with np.errstate(over="ignore"):  # beyond float32 is infinite, and so out of range
            pixels = array.astype(np.float32).reshape(-1, 784)
    except (ValueError, TypeError, EOFError) as error:
        wrong = PayloadError("malformed", f"Expected a .npy file of images: {error}.")
        return np.zeros((1, 784), np.float32), {0: wrong}
    if array.dtype.kind in "ui":
        pixels /= 255
    return pixels, payload.take_out_of_range(pixels, lambda image: f"image {image}")
