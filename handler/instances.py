"""KServe's V1 protocol: `{"instances": [image, …]}` -> `{"predictions": [answer, …]}`. Knows no TorchServe.

An image is what `data` is, 784 numbers from 0 to 1; or 28 rows of 28; or an object with one of these as its `data`. An
answer is what the image alone would get: `{"prediction", "confidence"}`, or `{"code", "type", "message"}`.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import payload
from cache import Answer
from payload import PIXELS, PayloadError, Pixels

MOST = 64  # images in a request; their answers or errors stay far below max_response_size
_SIDE = 28


def read(document: dict[str, Any]) -> tuple[Pixels, dict[int, PayloadError]]:
    """The images (k, 784), and the error of each that has one, whose row is zeros.

    Raises:
        PayloadError: `instances` is no array of 1 to 64.

    """
    found = payload.convert(document["instances"], list, "$.instances")
    if not 1 <= len(found) <= MOST:
        raise PayloadError("length", f"Expected 1 to {MOST} images, got {len(found)} - at `$.instances`.")
    pixels = np.zeros((len(found), PIXELS), np.float32)
    errors = {}
    places = []
    for index, image in enumerate(found):
        place = f"$.instances[{index}]"
        if isinstance(image, dict) and "data" in image:
            image, place = image["data"], place + ".data"
        places.append(place)
        try:
            if isinstance(image, dict):
                raise PayloadError("type", f"Object missing required field `data` - at `{place}`.")
            with np.errstate(over="ignore"):  # beyond float32 is infinite, and so out of range
                pixels[index] = _numbers(image, place)
        except PayloadError as error:
            errors[index] = error
    return pixels, errors | payload.take_out_of_range(pixels, places.__getitem__)


def join(answers: Sequence[Answer]) -> bytes:
    """The answers to the images as the one answer to their request."""
    return b'{"predictions": [%b]}' % b", ".join(body for _, body in answers)


def _numbers(image: Any, place: str) -> list[float]:
    if isinstance(image, list) and image and isinstance(image[0], list):
        rows = payload.convert(image, list[list[float]], place)
        if [len(row) for row in rows] != [_SIDE] * _SIDE:
            raise PayloadError("length", f"Expected {_SIDE} rows of {_SIDE} numbers, got others - at `{place}`.")
        return list(chain.from_iterable(rows))
    values: list[float] = payload.convert(image, list[float], place)
    if len(values) != PIXELS:
        raise PayloadError("length", f"Expected {PIXELS} numbers, got {len(values)} - at `{place}`.")
    return values
