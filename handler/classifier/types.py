"""The words: what an image, a request, a prediction and a refusal are. Knows no TorchServe."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

SIDE = 28  # pixels
PIXELS = SIDE * SIDE  # row by row
MAX_CLASSES = 100  # of a model: each has its series among the metrics
MAX_IMAGES = 64  # in one request
MAX_BODY = 65_536  # bytes of one image
MAX_LARGE_BODY = 1_572_864  # bytes of several, as TorchServe's max_request_size
MAX_QUOTE = 80  # characters of a client's that a message repeats; TorchServe ends a worker whose response is too large

Body = bytes | bytearray | memoryview
Pixels = NDArray[np.float32]  # (n, PIXELS), 0 black to 1 white
Probabilities = NDArray[np.float32]  # (n, K) of K classes; a row's rest to 1 is the probability of none of them

# Why an image is refused, in the words of the metrics, and the status of a request with nothing else in it.
REASONS = {
    "empty": HTTPStatus.BAD_REQUEST,
    "malformed": HTTPStatus.BAD_REQUEST,
    "size": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "media_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "type": HTTPStatus.UNPROCESSABLE_ENTITY,
    "length": HTTPStatus.UNPROCESSABLE_ENTITY,
    "range": HTTPStatus.UNPROCESSABLE_ENTITY,
    "image": HTTPStatus.UNPROCESSABLE_ENTITY,
    "internal": HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Model(NamedTuple):
    """What is special to a model: what its answers call it and its classes, and how pictures become its pixels."""

    name: str
    version: str
    labels: tuple[str, ...] = ()  # a name for each class, or none at all
    pictures: Literal["mnist", "plain"] = "plain"


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
    """What the model says of an image: the likeliest class, and the probability that it shows that class."""

    class_id: int
    confidence: float

    @property
    def status(self) -> HTTPStatus:
        """Of a request with nothing else in it."""
        return HTTPStatus.OK

    def encode(self) -> bytes:
        """As JSON; six decimals are what float32 holds."""
        return b'{"prediction": %d, "confidence": %.6f}' % self


class LabeledPrediction(NamedTuple):
    """The same of a model whose classes have names."""

    class_id: int
    confidence: float
    label: str

    @property
    def status(self) -> HTTPStatus:
        """Of a request with nothing else in it."""
        return HTTPStatus.OK

    def encode(self) -> bytes:
        """As JSON, the name between its class and its confidence."""
        return b'{"prediction": %d, "label": %b, "confidence": %.6f}' % (
            self.class_id,
            msgspec.json.encode(self.label),
            self.confidence,
        )


def encode_details(
    prediction: Prediction | LabeledPrediction,
    probabilities: NDArray[np.float32],
    pixels: NDArray[np.float32],
    model: Model,
) -> bytes:
    """As JSON, with the probability of each class (K,), what the model saw (784,) as 0 to 255, and the model."""
    more = {
        "probabilities": np.round(probabilities.astype(float), 6).tolist(),
        "pixels": np.rint(pixels * 255).astype(int).tolist(),
        "model": {"name": model.name, "version": model.version},
    }
    return prediction.encode()[:-1] + b", " + msgspec.json.encode(more)[1:]


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


Outcome = Prediction | LabeledPrediction | Refusal  # of one image
Refusals = Mapping[int, Refusal]  # by row


def predictions(
    probabilities: Probabilities, labels: Sequence[str] = ()
) -> Sequence[Prediction] | Sequence[LabeledPrediction]:
    """What probabilities (n, K) say of n images, with the names of their classes if these have any."""
    classes, confidences = probabilities.argmax(axis=1).tolist(), probabilities.max(axis=1).tolist()
    if labels:
        return [*map(LabeledPrediction, classes, confidences, map(labels.__getitem__, classes))]
    return [*map(Prediction, classes, confidences)]
