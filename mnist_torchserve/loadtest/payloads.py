"""What the users send: real digits, and random pixels, as request bodies; no two of a run are the same.

Needs nothing but the standard library, so that a machine that only makes load needs nothing but Locust.
"""

import json
import random
from typing import NamedTuple

from mnist_torchserve.contract import PIXELS, blank, reads_digits, sample

NOISE = 100  # different images of random pixels
NOISE_SHARE = 0.1  # of the payloads

_HEAD = b'{"data": [0.000'
_TAIL = b"]}"


class Payload(NamedTuple):
    """A request body, and the digit that it shows; None for random pixels, and for a model of other things."""

    body: bytes
    label: int | None


class Payloads:
    """An endless supply of payloads, one in ten of them random pixels.

    The first pixel, a corner of the page, is a random number below 0.001: too faint to see, and enough to make every
    body another one. A response cache on the way gains nothing by it, as with real clients.
    """

    def __init__(self) -> None:
        # As a client that divides bytes by 255 sends them, in full length.
        texts = [repr(level / 255).encode() for level in range(256)]
        pixels, labels = sample()
        known = reads_digits()
        self._digits = [
            Payload(b", ".join(texts[level] for level in pixels[start + 1 : start + PIXELS]), label if known else None)
            for start, label in zip(range(0, len(pixels), PIXELS), labels, strict=True)
        ]
        self._noise = [
            Payload(b", ".join(repr(random.random()).encode() for _ in range(1, PIXELS)), None) for _ in range(NOISE)
        ]

    def next(self) -> Payload:
        """Any payload."""
        return self._mark(random.choice(self._noise if random.random() < NOISE_SHARE else self._digits))

    def next_digit(self) -> Payload:
        """A payload that shows a digit."""
        return self._mark(random.choice(self._digits))

    def _mark(self, payload: Payload) -> Payload:
        return Payload(b"%b%09d, %b%b" % (_HEAD, random.randrange(10**9), payload.body, _TAIL), payload.label)


def plain(level: float) -> Payload:
    """A page of one brightness: 0 for blank, 1 for full of ink."""
    return Payload(json.dumps(blank(level)).encode(), None)
