"""The request bodies that users send: real digits and random pixels, all of them different within a run.

This module needs only the standard library, so a machine that only generates load needs nothing but Locust.
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
    """A request body and the digit that it shows; None for random pixels, and for a model of other things."""

    body: bytes
    label: int | None


class Payloads:
    """An unlimited supply of payloads, one in ten of them random pixels.

    The first pixel, a corner of the page, is a random number below 0.001. It is too faint to see, but makes every body
    different. A response cache therefore does not help, as with real clients.
    """

    def __init__(self) -> None:
        # In full precision, as a client sends them that divides bytes by 255.
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
        """The next payload, of any kind."""
        return self._mark(random.choice(self._noise if random.random() < NOISE_SHARE else self._digits))

    def next_digit(self) -> Payload:
        """The next payload that shows a digit."""
        return self._mark(random.choice(self._digits))

    def _mark(self, payload: Payload) -> Payload:
        return Payload(b"%b%09d, %b%b" % (_HEAD, random.randrange(10**9), payload.body, _TAIL), payload.label)


def plain(level: float) -> Payload:
    """A page of one brightness: 0 for blank, 1 for full."""
    return Payload(json.dumps(blank(level)).encode(), None)
