"""KServe's V1 protocol: `{"instances": [image, …]}` -> `{"predictions": [answer, …]}`.

An image is 784 numbers from 0 to 1, 28 rows of 28, or an object with one of these as its `data`. The answer to an image
is the one that it would get alone: `{"prediction", "confidence"}`, or `{"code", "type", "message"}`.

Does not depend on TorchServe.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from ..json_document import convert
from ..payload import refuse_out_of_range
from ..types import MAX_IMAGES, PIXELS, SIDE, Outcome, Refusal
from . import Images


def read(document: dict[str, Any]) -> Images:
    """Read the images of a request."""
    try:
        return _read(convert(document["instances"], list, "$.instances"))
    except Refusal as refusal:
        return Images.none(refusal)


def _read(instances: list[Any]) -> Images:
    if not 1 <= len(instances) <= MAX_IMAGES:
        raise Refusal("length", f"Expected 1 to {MAX_IMAGES} images, got {len(instances)} - at `$.instances`.")
    pixels = np.zeros((len(instances), PIXELS), np.float32)
    refusals = {}
    places = []
    for index, image in enumerate(instances):
        place = f"$.instances[{index}]"
        if isinstance(image, dict) and "data" in image:
            image, place = image["data"], place + ".data"
        places.append(place)
        try:
            if isinstance(image, dict):
                raise Refusal("type", f"Object missing required field `data` - at `{place}`.")
            with np.errstate(over="ignore"):  # values beyond float32 become infinite, so they are out of range
                pixels[index] = _numbers(image, place)
        except Refusal as refusal:
            refusals[index] = refusal
    return Images(pixels, refusals | refuse_out_of_range(pixels, places.__getitem__), _join)


def _join(outcomes: Sequence[Outcome]) -> bytes:
    return b'{"predictions": [%b]}' % b", ".join(outcome.encode() for outcome in outcomes)


def _numbers(image: Any, place: str) -> list[float]:
    if isinstance(image, list) and image and isinstance(image[0], list):
        rows = convert(image, list[list[float]], place)
        if [len(row) for row in rows] != [SIDE] * SIDE:
            raise Refusal("length", f"Expected {SIDE} rows of {SIDE} numbers, got others - at `{place}`.")
        return list(chain.from_iterable(rows))
    values: list[float] = convert(image, list[float], place)
    if len(values) != PIXELS:
        raise Refusal("length", f"Expected {PIXELS} numbers, got {len(values)} - at `{place}`.")
    return values
