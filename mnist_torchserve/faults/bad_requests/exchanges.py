"""What a client sends on one connection, as raw bytes, and what may come back.

Raw, since a client library would correct what is meant to be wrong.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from mnist_torchserve.contract import Answer, Deployment

CLOSED = 0  # in place of a status: the connection ended without an answer


class Finish(Enum):
    """What the client does once it has sent everything."""

    READ = "reads the answer"
    SHUT = "says that nothing more will come, and reads"
    DROP = "resets the connection"


@dataclass(frozen=True)
class Face:
    """What a request to a service has to say."""

    path: bytes  # of predictions
    key: bytes
    is_gateway: bool

    @classmethod
    def of(cls, deployment: Deployment) -> "Face":
        """The face that a deployment shows."""
        path = "/" + deployment.predict.split("/", 3)[3]
        return cls(path.encode(), (deployment.key or "").encode(), deployment.is_gateway)


@dataclass(frozen=True)
class Exchange:
    """One connection: the pieces that are sent, `pause` seconds between them, and the statuses that may come back.

    `answers` are those of the requests on it, wherever a status is 200 with a prediction.
    """

    kind: str
    pieces: Sequence[bytes]
    allowed: frozenset[int]
    answers: Sequence[Answer]
    pause: float
    finish: Finish
    bodiless: bool


@dataclass
class Draft:
    """A request that is still to be written. As it stands it would be a good one, but for its body."""

    body: bytes = b""
    answers: Sequence[Answer] = ()
    method: bytes = b"POST"
    path: bytes = b""  # empty for that of predictions
    version: bytes = b"HTTP/1.1"
    media_type: bytes | None = b"application/json"
    headers: list[bytes] = field(default_factory=list)
    length: bytes | None = None  # of the body as it is told: None for the right one, empty for none
    follows: "Draft | None" = None  # on the same connection
    size: int = 0  # bytes of a piece; 0 for all
    pause: float = 0.0  # s
    sent: float = 1.0  # the part that is sent at all
    finish: Finish = Finish.READ

    def wire(self, face: Face) -> bytes:
        """All its bytes."""
        lines = [b" ".join([self.method, self.path or face.path, self.version]), b"Host: x", *self.headers]
        if self.media_type is not None:
            lines.append(b"Content-Type: " + self.media_type)
        if face.key:
            lines.append(b"x-api-key: " + face.key)
        length = b"%d" % len(self.body) if self.length is None else self.length
        if length:
            lines.append(b"Content-Length: " + length)
        wire = b"\r\n".join(lines) + b"\r\n\r\n" + self.body
        return wire + self.follows.wire(face) if self.follows else wire

    def exchange(self, face: Face, kind: str, allowed: frozenset[int]) -> Exchange:
        """It as it goes over a connection."""
        wire = self.wire(face)
        wire = wire[: math.ceil(len(wire) * self.sent)]
        size = self.size or len(wire)
        pieces = [wire[start : start + size] for start in range(0, len(wire), size)]
        answers = [*self.answers, *(self.follows.answers if self.follows else ())]
        return Exchange(kind, pieces, allowed, answers, self.pause, self.finish, self.method == b"HEAD")
