"""The words: what an image, a request, a prediction and a refusal are. Knows no TorchServe."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

SIDE = 28  # pixels
PIXELS = SIDE * SIDE  # row by row
CLASSES = 10
MAX_IMAGES = 64  # in one request
MAX_QUOTE = 80  # characters of a client's that a message repeats; TorchServe ends a worker whose response is too large

Body = bytes | bytearray | memoryview
Pixels = NDArray[np.float32]  # (n, PIXELS), 0 black to 1 white
Probabilities = NDArray[np.float32]  # (n, CLASSES); a row's rest to 1 is the probability that there is no digit

# Why an image is refused, in the words of the metrics, and the status of a request with nothing else in it.
REASONS = {
    "empty": HTTPStatus.BAD_REQUEST,
    "malformed": HTTPStatus.BAD_REQUEST,
    "media_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "type": HTTPStatus.UNPROCESSABLE_ENTITY,
    "length": HTTPStatus.UNPROCESSABLE_ENTITY,
    "range": HTTPStatus.UNPROCESSABLE_ENTITY,
    "image": HTTPStatus.UNPROCESSABLE_ENTITY,
    "internal": HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Model(NamedTuple):
    """What answers call the model."""

    name: str
    version: str


class Request(NamedTuple):
    """A request as it came; its media type is empty where it has none, as by gRPC."""

    body: bytes
    media_type: str
    details: bool = False  # whether the answer is to tell more


class Response(NamedTuple):
    """What a request gets: a status, and a JSON document."""

    status: HTTPStatus
    body: bytes


class Prediction(NamedTuple):
    """What the model says of an image: the likeliest digit, and the probability that it shows that digit."""

    digit: int
    confidence: float

    @property
    def status(self) -> HTTPStatus:
        """Of a request with nothing else in it."""
        return HTTPStatus.OK

    def encode(self) -> bytes:
        """As JSON; six decimals are what float32 holds."""
        return b'{"prediction": %d, "confidence": %.6f}' % self

    def encode_details(self, probabilities: NDArray[np.float32], pixels: NDArray[np.float32], model: Model) -> bytes:
        """As JSON, with the probability of each digit (10,), what the model saw (784,) as 0 to 255, and the model."""
        more = {
            "probabilities": np.round(probabilities.astype(float), 6).tolist(),
            "pixels": np.rint(pixels * 255).astype(int).tolist(),
            "model": model._asdict(),
        }
        return self.encode()[:-1] + b", " + msgspec.json.encode(more)[1:]


def quote(value: object) -> str:
    """What a client has sent, as a message may repeat it: in ASCII, and cut short."""
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # a number of more digits than Python writes, a nest without end
        return f"a {type(value).__name__} that is too long to repeat"
    return text if len(text) <= MAX_QUOTE else f"{text[:MAX_QUOTE]}..."


class Refusal(Exception):  # noqa: N818 - an answer like any other, and no error of ours
    """An image that gets no prediction: one of `REASONS`, and a message that says what to send instead."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = REASONS[reason]

    def encode(self, **more: str) -> bytes:
        """As JSON, in the shape of TorchServe's own errors and with more members if need be."""
        kind = self.status.phrase.replace(" ", "") + "Exception"
        return msgspec.json.encode({"code": int(self.status), "type": kind, "message": str(self), **more})


Outcome = Prediction | Refusal  # of one image
Refusals = Mapping[int, Refusal]  # by row


def predictions(probabilities: Probabilities) -> Sequence[Prediction]:
    """What probabilities (n, 10) say of n images."""
    digits, confidences = probabilities.argmax(axis=1).tolist(), probabilities.max(axis=1).tolist()
    return [*map(Prediction, digits, confidences)]
