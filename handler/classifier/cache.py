"""Remembers responses to repeated requests. Does not depend on TorchServe."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from http import HTTPStatus

from .types import Request, Response

Respond = Callable[[Sequence[Request]], list[Response]]


class ResponseCache:
    """Responds as `respond` does, remembers its good responses, and calls it only for new requests.

    Args:
        respond: responds to a batch of requests.
        size: responses to remember, some 200 bytes each, or 4 KiB with details. The least recently used one goes first.
    """

    def __init__(self, respond: Respond, size: int) -> None:
        self._respond = respond
        self._size = size
        self._responses: OrderedDict[bytes, Response] = OrderedDict()
        self.hits = 0

    def __call__(self, requests: Sequence[Request]) -> list[Response]:
        """Respond to a batch, in its order."""
        keys = [_digest(request) for request in requests]
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in self._responses}
        self.hits += len(requests) - len(missing)
        fresh = dict(zip(missing, self._respond(list(missing.values())), strict=True)) if missing else {}
        responses = [fresh[key] if key in fresh else self._responses[key] for key in keys]
        for key, response in zip(keys, responses, strict=True):
            if response.status == HTTPStatus.OK:
                self._responses[key] = response
                self._responses.move_to_end(key)
        while len(self._responses) > self._size:
            self._responses.popitem(last=False)
        return responses


def _digest(request: Request) -> bytes:
    return blake2b(request.body, digest_size=16).digest() + bytes([request.details]) + request.media_type.encode()
