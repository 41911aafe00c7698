"""A kind of bad requests, and what bad requests are made from: good requests and hostile text."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

from classifier import runtime
from mnist_torchserve.client import digits, weights
from mnist_torchserve.contract import Answer
from mnist_torchserve.project import MODEL_STORE
from .exchanges import Draft

# Text that a log, a metric or a terminal must not interpret.
HOSTILE = [
    b"\r\n2026-01-01T00:00:00,000 [ERROR] forged",
    b"\n[METRICS]Forged.Count:1|#Level:Host|#hostname:x,1,1",
    b"[METRICS]Forged.Count:1|#Level:Host|#hostname:x,1,1",
    b"%n%x%s%d forged",
    b"${jndi:ldap://127.0.0.1:9/forged} ${env:PATH}",
    b"\x1b[2J\x1b[31mforged",
]

Make = Callable[[Random], Draft]


@dataclass(frozen=True)
class RequestKind:
    """A kind of request, and the statuses that each face may answer with; an empty set if it is not sent there."""

    name: str
    make: Make
    gateway: frozenset[int]
    torchserve: frozenset[int]


class Kinds(list[RequestKind]):
    """A list of kinds, filled by its decorator."""

    def add(self, name: str, gateway: set[int], torchserve: set[int] | None = None) -> Callable[[Make], Make]:
        """Add a kind; without `torchserve`, TorchServe alone may answer with the same statuses as the gateway."""

        def keep(make: Make) -> Make:
            alone = gateway if torchserve is None else torchserve
            self.append(RequestKind(name, make, frozenset(gateway), frozenset(alone)))
            return make

        return keep


@cache
def _digits() -> list[tuple[bytes, bytes, Answer]]:
    """Digits as JSON and as bytes, each with the answer that the weights give without a server."""
    levels = digits.sample()[0][:64]
    pixels = digits.floats(levels)
    answers = weights.answers(runtime.load(MODEL_STORE, gpu_id=None), pixels)
    return [
        (json.dumps({"data": numbers.tolist()}).encode(), grey.tobytes(), answer)
        for numbers, grey, answer in zip(pixels, levels, answers, strict=True)
    ]


def good(dice: Random) -> Draft:
    """A digit, as JSON or as bytes."""
    text, grey, answer = dice.choice(_digits())
    if dice.random() < 0.5:
        return Draft(text, [answer])
    return Draft(grey, [answer], media_type=b"application/octet-stream")


def good_json(dice: Random) -> Draft:
    """A digit as JSON."""
    text, _, answer = dice.choice(_digits())
    return Draft(text, [answer])


def chunked(draft: Draft, dice: Random) -> Draft:
    """The same request with its body in chunks."""
    size = dice.choice([17, 500, 4_000, 40_000])
    pieces = [draft.body[start : start + size] for start in range(0, len(draft.body), size)]
    extension = dice.choice([b"", b"", b";x=y"])
    draft.body = b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces)
    draft.body += dice.choice([b"0\r\n\r\n", b"0\r\nX-Trailer: x\r\n\r\n"])
    draft.headers.append(b"Transfer-Encoding: chunked")
    draft.length = b""
    return draft
