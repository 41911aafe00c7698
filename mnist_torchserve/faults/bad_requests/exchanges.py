"""What a client sends on one connection, as raw bytes, and which answers are allowed.

The bytes are raw because an HTTP library would correct the errors that are sent on purpose.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from mnist_torchserve.contract import Answer, Deployment

CLOSED = 0  # in place of a status: the connection ended without an answer


class Finish(Enum):
    """What the client does after it has sent everything."""

    READ = "reads the answer"
    SHUT = "closes its sending side and reads the answer"
    DROP = "resets the connection"


@dataclass(frozen=True)
class Face:
    """The path and the key that requests to a service need."""

    path: bytes  # of predictions
    key: bytes
    is_gateway: bool

    @classmethod
    def of(cls, deployment: Deployment) -> "Face":
        """The face of a deployment."""
        path = "/" + deployment.predict.split("/", 3)[3]
        return cls(path.encode(), (deployment.key or "").encode(), deployment.is_gateway)


@dataclass(frozen=True)
class Exchange:
    """One connection: the pieces that are sent, `pause` seconds apart, and the statuses that are allowed.

    `answers` are the right answers to the requests on it, for every status of 200 with a prediction.
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
    """A request before it is written out. The defaults make a good request, apart from the empty body."""

    body: bytes = b""
    answers: Sequence[Answer] = ()
    method: bytes = b"POST"
    path: bytes = b""  # empty for the path of predictions
    version: bytes = b"HTTP/1.1"
    media_type: bytes | None = b"application/json"
    headers: list[bytes] = field(default_factory=list)
    length: bytes | None = None  # the Content-Length to send: None for the right one, empty for no header
    follows: "Draft | None" = None  # the next request on the same connection
    size: int = 0  # bytes of a piece; 0 sends everything in one
    pause: float = 0.0  # s
    sent: float = 1.0  # the share of the bytes that is sent
    finish: Finish = Finish.READ

    def wire(self, face: Face) -> bytes:
        """The bytes of the request."""
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
        """The exchange that sends this request."""
        wire = self.wire(face)
        wire = wire[: math.ceil(len(wire) * self.sent)]
        size = self.size or len(wire)
        pieces = [wire[start : start + size] for start in range(0, len(wire), size)]
        answers = [*self.answers, *(self.follows.answers if self.follows else ())]
        return Exchange(kind, pieces, allowed, answers, self.pause, self.finish, self.method == b"HEAD")
