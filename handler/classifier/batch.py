"""Reads a batch of requests into pixels, and answers it with the model's probabilities. Does not depend on TorchServe.

requests (n) ── read ──> pixels (n + m, 784), refusals by row ── runtime ──> probabilities ── responses ──> (n)

The media type of a request and, for JSON, the key at the top decide which reader takes it:

    application/json, none   `data`: payload; else `instances`: protocols.v1; else `inputs`: protocols.v2
    application/octet-stream 784 or 3,136 bytes: payload; else JSON with `inputs` and binary tensors: protocols.v2
    image/png, jpeg, webp    images
    any other                415

A body of more than 64 KiB may hold several images, never one (413).

A request's first image has the row of the request. Its other images follow after the rows of all requests.

No request affects another: an error while reading one, or while writing its response, only changes that response.
"""

import logging
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from . import image_files, images, json_document, payload
from .json_document import Document
from .protocols import Images, v1, v2
from .types import (
    MAX_BODY,
    PIXELS,
    Model,
    Outcome,
    Pixels,
    Probabilities,
    Refusal,
    Request,
    Response,
    encode_details,
    predictions,
    quote,
)

_HERE = str(Path(__file__).parent)
# The names at the top under which a document has several images, by media type. They hold for a body of any size.
_SEVERAL = {
    "application/json": ("instances", "inputs"),
    "": ("instances", "inputs"),
    "application/octet-stream": ("inputs",),
}


_UNANSWERED = (
    "The model's network gives no probabilities from 0 to 1 for this image, as when it divides by a contrast of zero. "
    "Send another image."
)
_ROUNDING = 4e-7  # of a probability in float32


class Group(NamedTuple):
    """The images of a request in one of KServe's protocols, and their rows in the batch."""

    rows: list[int]
    images: Images


class Batch(NamedTuple):
    """A batch of n requests with n + m images."""

    size: int  # n
    pixels: Pixels  # (n + m, 784); the row of a refusal is zeros, so that it cannot affect the others
    refusals: dict[int, Refusal]  # by row
    groups: dict[int, Group]  # by request
    detailed: frozenset[int]  # the requests of one image that ask for details
    model: Model

    def refuse_unanswered(self, probabilities: Probabilities) -> None:
        """Refuse images whose probabilities, of (n + m, K), are none: a user's network may divide by zero."""
        if probabilities.min() >= -_ROUNDING and probabilities.max() <= 1 + _ROUNDING:  # which NaN is not
            return
        usual = (probabilities >= -_ROUNDING) & (probabilities <= 1 + _ROUNDING)
        for row in np.flatnonzero(~usual.all(axis=1)).tolist():
            self.refusals.setdefault(row, Refusal("image", _UNANSWERED))

    def responses(self, probabilities: Probabilities) -> list[Response]:
        """Return the responses for the model's probabilities (n + m, K)."""
        outcomes: list[Outcome] = [*predictions(probabilities, self.model.labels)]
        for row, refusal in self.refusals.items():
            outcomes[row] = refusal
        responses = []
        for index, outcome in enumerate(outcomes[: self.size]):
            try:
                if index in self.groups:
                    rows, images = self.groups[index]
                    responses.append(images.respond([outcomes[row] for row in rows]))
                elif index in self.detailed and not isinstance(outcome, Refusal):
                    details = encode_details(outcome, probabilities[index], self.pixels[index], self.model)
                    responses.append(Response(outcome.status, details))
                else:
                    responses.append(Response(outcome.status, outcome.encode()))
            except Exception as error:
                responses.append(failure(error))
        return responses


def read(requests: Sequence[Request], model: Model) -> Batch:
    """Decode and validate a batch.

    Args:
        requests: n requests.
        model: names the model in V2's answers and in details.
    """
    pixels = np.empty((len(requests), PIXELS), np.float32)
    refusals: dict[int, Refusal] = {}
    several: dict[int, Images] = {}
    with np.errstate(over="raise"):
        for index, request in enumerate(requests):
            try:
                found = _read(request, pixels[index], model)
            except Exception as error:
                refusals[index] = _advised(error, request.body) if isinstance(error, Refusal) else _internal(error)
                pixels[index] = 0
            else:
                if found is not None:
                    advised = {image: _advised(refusal, request.body) for image, refusal in found.refusals.items()}
                    several[index] = found._replace(refusals=advised)
                    pixels[index] = found.pixels[0]
    refusals |= payload.refuse_out_of_range(pixels, lambda _: "$.data")
    groups = _groups(several, len(requests))
    for group in groups.values():
        refusals |= {group.rows[position]: refusal for position, refusal in group.images.refusals.items()}
    if groups:
        pixels = np.concatenate([pixels, *(images.pixels[1:] for images in several.values())])
    detailed = frozenset(index for index, request in enumerate(requests) if request.details)
    return Batch(len(requests), pixels, refusals, groups, detailed, model)


def failure(error: Exception) -> Response:
    """Return the response to a request that failed through a fault of ours."""
    refusal = _internal(error)
    return Response(refusal.status, refusal.encode())


def _internal(error: Exception) -> Refusal:
    # Log where in our code it happened, but not the message, which may contain a client's text.
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if _HERE in frame.filename]
    place = f"{ours[-1].filename}:{ours[-1].lineno}" if ours else "an unknown place"
    logging.error("A request failed: %s at %s", type(error).__name__, place)
    return Refusal(
        "internal", "The service failed at this request. Tell its operator: the log of the model says where."
    )


def _advised(refusal: Refusal, body: bytes) -> Refusal:
    """Return the refusal. If there is a picture in the body, it also says how to send one."""
    advice = image_files.advice(body)
    return Refusal(refusal.reason, f"{refusal} {advice}") if advice and advice not in str(refusal) else refusal


def _groups(several: dict[int, Images], end: int) -> dict[int, Group]:
    """Assign rows to the images of each request. Those after the first begin at `end`."""
    groups = {}
    for index, found in several.items():
        rows = [index, *range(end, end := end + len(found.pixels) - 1)]
        groups[index] = Group(rows, found)
    return groups


def _read(request: Request, row: Pixels, model: Model) -> Images | None:
    """Write a single image into `row`, not yet checked for its range; return several images.

    Raises:
        Refusal: there is no image.
    """
    body, media_type, _ = request
    if media_type not in ("application/json", ""):
        media_type = media_type.partition(";")[0].strip().lower()
    if len(body) > MAX_BODY and media_type in (*_SEVERAL, *image_files.MEDIA_TYPES):
        return _read_large(bytes(body), media_type, model)
    if media_type in ("application/json", ""):
        # gRPC has no media types, but the first bytes of a picture show what it is.
        if not media_type and image_files.is_image(body):
            row[:] = images.READERS[model.pictures](body)
            return None
        body = bytes(body)
        return None if payload.read_plain(body, row) else _read_document(json_document.decode(body), row, model)
    if media_type == "application/octet-stream":
        if not payload.is_bytes(body) and (tensors := _binary_tensors(bytes(body))) is not None:
            return v2.read(tensors, model)
        payload.read_bytes(body, row)
    elif media_type in image_files.MEDIA_TYPES:
        row[:] = images.READERS[model.pictures](body)
    else:
        raise Refusal(
            "media_type",
            f"Expected the header `Content-Type: application/json` (or application/octet-stream, "
            f"{', '.join(image_files.MEDIA_TYPES)}), got {quote(media_type)}. "
            f"{image_files.HOW_TO_SEND if 'form' in media_type else json_document.SHAPE}",
        )
    return None


def _read_large(body: bytes, media_type: str, model: Model) -> Images:
    """Read several images: a body of one image may not be this large.

    Raises:
        Refusal: the body has one image, or none.
    """
    names = _SEVERAL.get(media_type, ())
    text = b""
    if names:
        with suppress(Refusal):  # bytes of another kind
            text = json_document.in_utf8(body)
    if any(b'"%b"' % name.encode() in text for name in names):  # otherwise decoding is a waste of time
        document = json_document.decode(text)
        match document.first_of("data", *names):
            case "instances":
                return v1.read(document.alone())
            case "inputs":
                return v2.read(document, model)
    raise Refusal(
        "size",
        f"Expected at most {MAX_BODY} bytes of one image, got {len(body)} - in the body. Send numbers of a dozen "
        "digits at most; of a picture, the digit alone, some 200 × 200 pixels; several as `instances` or `inputs`.",
    )


def _read_document(document: Document, row: Pixels, model: Model) -> Images | None:
    match document.first_of("data", "instances", "inputs"):
        case "instances":
            return v1.read(document.alone())
        case "inputs":
            return v2.read(document, model)
        case _:
            payload.read_document(document.alone(), row)
            return None


def _binary_tensors(body: bytes) -> Document | None:
    """Return a body as V2's JSON followed by binary tensors, or None if it is not that."""
    try:
        document = json_document.decode(body)
    except Refusal:
        return None
    return document if document.first_of("inputs") else None
