"""Requests with several images, in KServe's protocols: V1 (instances.py) and V2 (tensors.py). Knows no TorchServe.

requests ── payload.decode ──> pixels (n, 784), errors ── decode ──> pixels (n + m, 784), errors, groups
                                                    │
                                                    └─ what is no single image, but has `instances` or `inputs`

A request's images are rows of the batch like all others: the first in the request's own row, the others behind the
rows of all requests. So each has its own answer or its own error, and `answer` joins them. A request none of whose
images can be answered is refused as a whole.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

import instances
import msgspec
import numpy as np
import payload
import tensors
from cache import Answer, Request
from payload import PayloadError, Pixels

Images = tuple[Pixels, dict[int, PayloadError]]  # pixels (k, 784), and the errors by image


class ProtocolError(PayloadError):
    """A refusal of a whole request, with the member `error` in which the protocols' clients look for the reason."""

    def body(self) -> bytes:
        """The error as JSON."""
        return _with_reason(super().body())


class Group(NamedTuple):
    """A request with several images."""

    rows: list[int]  # in the batch
    join: Callable[[Sequence[Answer]], bytes]

    def answer(self, answers: Sequence[Answer]) -> Answer:
        """One answer of those to the whole batch's rows."""
        own = [answers[row] for row in self.rows]
        if any(status == HTTPStatus.OK for status, _ in own):
            return HTTPStatus.OK, self.join(own)
        status, body = own[0]
        return status, _with_reason(body)


class Batch(NamedTuple):
    """A decoded batch of n requests with n + m images."""

    pixels: Pixels  # (n + m, 784)
    errors: dict[int, PayloadError]  # by row
    groups: dict[int, Group]  # by request


def decode(requests: Sequence[Request], model: tensors.Model) -> Batch:
    """Decode and validate a batch, as `payload.decode` does and beyond.

    Args:
        requests: n pairs of body and media type.
        model: what V2's answers call the model.

    """
    pixels, errors = payload.decode(requests)
    groups: dict[int, Group] = {}
    more: list[Pixels] = []
    end = len(requests)
    for index in [*errors]:
        try:
            found = _read(bytes(requests[index][0]), model)
        except PayloadError as error:
            errors[index] = ProtocolError(error.reason, str(error))
            continue
        if found is None:
            continue
        (own, own_errors), join = found
        rows = [index, *range(end, end := end + len(own) - 1)]
        groups[index] = Group(rows, join)
        pixels[index] = own[0]
        more.append(own[1:])
        del errors[index]
        errors.update({rows[position]: error for position, error in own_errors.items()})
    return Batch(np.concatenate([pixels, *more]) if more else pixels, errors, groups)


def _read(body: bytes, model: tensors.Model) -> tuple[Images, Callable[[Sequence[Answer]], bytes]] | None:
    """The images of a request in one of the protocols, and what joins their answers; None if it speaks neither."""
    if b'"instances"' not in body and b'"inputs"' not in body:
        return None
    document, rest = _parse(body)
    if not isinstance(document, dict) or "data" in document:
        return None
    if "instances" in document and not rest:
        return instances.read(document), instances.join
    if "inputs" in document:
        request = tensors.request(document)
        return tensors.read(request, rest), partial(tensors.join, request, model)
    return None


def _parse(body: bytes) -> tuple[Any, bytes]:
    """A JSON document and what follows it, the bytes of V2's binary tensors; (None, b"") if there is none.

    NaN and Infinity are read, since they are a wrong value of one image, not a wrong format of all.
    """
    try:
        return msgspec.json.decode(body), b""
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        # Latin-1 gives every byte one character, so that the end of the document is known in bytes.
        _, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
        return json.loads(body[:end]), body[end:]
    except (ValueError, RecursionError):
        return None, b""


def _with_reason(error: bytes) -> bytes:
    document = msgspec.json.decode(error)
    return msgspec.json.encode({**document, "error": document["message"]})
