"""A crowd of clients that send real digits, each request different, and record every answer."""

import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple
from urllib.parse import urlsplit

from classifier import runtime
from classifier.runtime import TorchRuntime
from mnist_torchserve.client import digits, weights
from mnist_torchserve.contract import Answer
from mnist_torchserve.project import MODEL_STORE
from .account import Account, Attempt, Ending

CLIENTS = 64
RESTLESS = 4  # one in so many clients opens a new connection for each request; the others keep theirs
PACE = 0.1  # s from one request of a client to its next; 64 clients send as much as a thousand ordinary users
NOT_ACCEPTED = "connection refused"
CUT = "connection cut"
RETRY = 0.25  # s that a client waits after a request that got no answer
_HEADERS = {"Content-Type": "application/json"}
_REFUSALS = (429, 503)
_FAILURES = (500, 502, 504, 507)


class _Digit(NamedTuple):
    rest: str  # of the payload, after its first pixel
    answer: Answer

    def payload(self) -> bytes:
        """A unique payload: the first pixel, a corner, is a random number too small to see."""
        return f'{{"data": [0.000000{random.randrange(10**9):09}, {self.rest}]}}'.encode()


def payloads(count: int) -> list[bytes]:
    """Digits as clients send them, each payload different."""
    return [random.choice(_digits()).payload() for _ in range(count)]


class Crowd:
    """Clients that send prediction requests to one URL until they are stopped.

    Args:
        url: of the predictions.
        deadline: s after which a request without an answer counts as hanging.
        clients: how many.
        pace: s from one request of a client to its next.
        key: an API key, where the service asks for one.
    """

    def __init__(
        self, url: str, deadline: float, clients: int = CLIENTS, pace: float = PACE, key: str | None = None
    ) -> None:
        self._headers = _HEADERS if key is None else {**_HEADERS, "x-api-key": key}
        self._address = urlsplit(url)
        self._deadline = deadline
        self._pace = pace
        self._requests: list[Attempt] = []
        self._begun: list[float] = []
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._client, args=[n % RESTLESS == 0], daemon=True) for n in range(clients)
        ]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the clients send until the block ends, and wait for their last answers."""
        _digits()  # computed now, so that no client has to wait for it
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            ending = time.monotonic() + 2 * self._deadline
            for thread in self._threads:
                thread.join(max(ending - time.monotonic(), 0))

    def account(self) -> Account:
        """The account so far."""
        return Account(sorted(self._requests))

    def lost(self) -> int:
        """The number of requests without a known end, once all clients have stopped."""
        return len(self._begun) - len(self._requests)

    def _client(self, restless: bool) -> None:
        connection = HTTPConnection(str(self._address.hostname), self._address.port, timeout=self._deadline)
        self._end.wait(random.uniform(0, self._pace))
        while not self._end.is_set():
            digit = random.choice(_digits())
            began = time.monotonic()
            self._begun.append(began)
            ending, reason, retry_after = self._ask(connection, digit)
            wait = time.monotonic() - began
            if restless:
                connection.close()
            self._requests.append(Attempt(began, wait, ending, reason, retry_after))
            self._end.wait(max(self._pace - wait, 0.0) if ending is Ending.ANSWERED else RETRY)
        connection.close()

    def _ask(self, connection: HTTPConnection, digit: _Digit) -> tuple[Ending, str, bool]:
        try:
            connection.request("POST", self._address.path, digit.payload(), self._headers)
            response = connection.getresponse()
            status, body = response.status, response.read()
        except TimeoutError:
            connection.close()
            return Ending.HANGING, f"no answer within {self._deadline:g} s", False
        except ConnectionRefusedError:
            connection.close()
            return Ending.FAILED, NOT_ACCEPTED, False
        except (OSError, HTTPException):
            connection.close()
            return Ending.FAILED, CUT, False
        return (*_judge(status, body, digit), response.headers["Retry-After"] is not None)


def _judge(status: int, body: bytes, digit: _Digit) -> tuple[Ending, str]:
    """How an answered request ended, and what the answer was if it was not right."""
    if status == 200:
        answer = Answer.parse(body)
        if answer is not None and answer.agrees(digit.answer):
            return Ending.ANSWERED, ""
    elif status in (*_REFUSALS, *_FAILURES) and _code(body) == status:
        return Ending.REFUSED if status in _REFUSALS else Ending.FAILED, str(status)
    return Ending.WRONG, f"{status} {body[:100]!r} for a {digit.answer.prediction}"


def _code(error: bytes) -> int | None:
    try:
        code: int = json.loads(error)["code"]
        return code
    except (ValueError, LookupError, TypeError):
        return None


@cache
def _digits() -> Sequence[_Digit]:
    """The digits of the sample, with the answers of the network in plain PyTorch."""
    pixels = digits.floats(digits.sample()[0])
    pixels[:, 0] = 0
    answers = weights.answers(TorchRuntime(runtime.find(MODEL_STORE).saved, "cpu"), pixels)
    texts = [", ".join(map(repr, row[1:].tolist())) for row in pixels]
    return [*map(_Digit, texts, answers)]
