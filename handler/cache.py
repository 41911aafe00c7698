"""Answers to requests that have come before. Knows no TorchServe."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from http import HTTPStatus

Request = tuple[bytes, str]  # body, media type
Answer = tuple[HTTPStatus, bytes]
Answerer = Callable[[Sequence[Request]], list[Answer]]


class AnswerCache:
    """An answerer that remembers the good answers of another one, and asks it only for the rest.

    Args:
        answer: answers a batch of requests.
        size: answers to remember, some 200 bytes each; the one used longest ago goes first.
    """

    def __init__(self, answer: Answerer, size: int) -> None:
        self._answer = answer
        self._size = size
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()
        self.hits = 0

    def __call__(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer a batch, in its order."""
        keys = [_digest(request) for request in requests]
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in self._answers}
        self.hits += len(requests) - len(missing)
        fresh = dict(zip(missing, self._answer(list(missing.values())), strict=True)) if missing else {}
        answers = [fresh[key] if key in fresh else self._answers[key] for key in keys]
        for key, answer in zip(keys, answers, strict=True):
            if answer[0] == HTTPStatus.OK:
                self._answers[key] = answer
                self._answers.move_to_end(key)
        while len(self._answers) > self._size:
            self._answers.popitem(last=False)
        return answers


def _digest(request: Request) -> bytes:
    body, media_type = request
    return blake2b(body, digest_size=16).digest() + media_type.encode()
