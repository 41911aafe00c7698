"""The types of images, requests, predictions and refusals. Does not depend on TorchServe."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

SIDE = 28  # pixels
PIXELS = SIDE * SIDE  # row by row
MAX_CLASSES = 100  # of a model; each class has its own series of metrics
MAX_IMAGES = 64  # in one request
MAX_BODY = 65_536  # bytes of one image
MAX_LARGE_BODY = 1_572_864  # bytes of several, as TorchServe's max_request_size
MAX_QUOTE = 80  # characters of a request that a message repeats; TorchServe ends a worker whose response is too large

Body = bytes | bytearray | memoryview
Pixels = NDArray[np.float32]  # (n, PIXELS), 0 black to 1 white
Probabilities = NDArray[np.float32]  # (n, K) of K classes; 1 minus the sum of a row is the probability of no class

# Why an image is refused, as the metrics call it, and the status of a request with only that image.
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
    """The properties of a model: names for answers, how pictures become its pixels, what to know of its confidence."""

    name: str
    version: str
    labels: tuple[str, ...] = ()  # a name for each class, or none at all
    pictures: Literal["mnist", "plain"] = "plain"
    remarks: tuple[str, ...] = ()  # on its confidence, such as "not calibrated"


class Request(NamedTuple):
    """A request as received. Its media type is empty if it has none, as with gRPC."""

    body: bytes
    media_type: str
    details: bool = False  # whether the answer contains details


class Response(NamedTuple):
    """The response to a request: a status, and a JSON document."""

    status: HTTPStatus
    body: bytes


class Prediction(NamedTuple):
    """The prediction for an image: the likeliest class, and the probability that the image shows it."""

    class_id: int
    confidence: float

    @property
    def status(self) -> HTTPStatus:
        """The status of a request with only this image."""
        return HTTPStatus.OK

    def encode(self) -> bytes:
        """Encode as JSON. Six decimals are what float32 holds."""
        return b'{"prediction": %d, "confidence": %.6f}' % self


class LabeledPrediction(NamedTuple):
    """A prediction by a model whose classes have names."""

    class_id: int
    confidence: float
    label: str

    @property
    def status(self) -> HTTPStatus:
        """The status of a request with only this image."""
        return HTTPStatus.OK

    def encode(self) -> bytes:
        """Encode as JSON, with the name between the class and the confidence."""
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
    """Encode as JSON, with the probability of each class (K,), the pixels (784,) as 0 to 255, and the model.

    What MNIST's model lacks is left out where a model lacks it too: names, another way to read pictures, remarks.
    """
    more = {
        "probabilities": np.round(probabilities.astype(float), 6).tolist(),
        **({"labels": model.labels} if model.labels else {}),
        "pixels": np.rint(pixels * 255).astype(int).tolist(),
        "model": {
            "name": model.name,
            "version": model.version,
            **({"pictures": model.pictures} if model.pictures != "mnist" else {}),
            **({"remarks": model.remarks} if model.remarks else {}),
        },
    }
    return prediction.encode()[:-1] + b", " + msgspec.json.encode(more)[1:]


def quote(value: object) -> str:
    """Return what a client sent in a form that a message can repeat: in ASCII, and cut short."""
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # a number with too many digits for Python, endless nesting
        return f"a {type(value).__name__} that is too long to repeat"
    return text if len(text) <= MAX_QUOTE else f"{text[:MAX_QUOTE]}..."


class Refusal(Exception):  # noqa: N818 - an answer like any other, not an error of ours
    """An image that gets no prediction: one of `REASONS`, and a message that says what to send instead."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = REASONS[reason]

    def encode(self, **more: str) -> bytes:
        """Encode as JSON, in the shape of TorchServe's own errors, with these additional members."""
        kind = self.status.phrase.replace(" ", "") + "Exception"
        return msgspec.json.encode({"code": int(self.status), "type": kind, "message": str(self), **more})


Outcome = Prediction | LabeledPrediction | Refusal  # of one image
Refusals = Mapping[int, Refusal]  # by row


def predictions(
    probabilities: Probabilities, labels: Sequence[str] = ()
) -> Sequence[Prediction] | Sequence[LabeledPrediction]:
    """Return the predictions for probabilities (n, K) of n images, with the names of the classes if they have any."""
    classes, confidences = probabilities.argmax(axis=1).tolist(), probabilities.max(axis=1).tolist()
    if labels:
        return [*map(LabeledPrediction, classes, confidences, map(labels.__getitem__, classes))]
    return [*map(Prediction, classes, confidences)]
