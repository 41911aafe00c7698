"""A campaign of bad requests with good ones among them, and the outcome of each."""

import contextlib
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from http.client import HTTPException, parse_headers
from random import Random
from typing import BinaryIO
from urllib.parse import urlsplit

from mnist_torchserve.contract import Answer, Deployment
from . import bad_bodies, bad_http
from .exchanges import CLOSED, Exchange, Face, Finish
from .kind import RequestKind, good

KINDS: list[RequestKind] = [*bad_bodies.KINDS, *bad_http.KINDS]
GOOD = "good"
TIMEOUT = 10.0  # s; a request without an answer by then is hanging
_GOOD_SHARE = 0.3
_RESET = struct.pack("ii", 1, 0)  # makes closing send a reset


@dataclass(frozen=True)
class ExchangeOutcome:
    """How an exchange ended."""

    kind: str  # of the request
    ended: str  # a status, "closed", "dropped" (by the client), "hanging", "nonsense" or "refused" (the connection)
    problem: str  # what is wrong with the outcome, or empty
    wait: float  # s from the last byte sent to the end of the answer


@dataclass
class Tally:
    """The outcomes of a campaign."""

    kinds: dict[str, Counter[str]] = field(default_factory=dict)  # by kind, the number of each outcome
    violations: list[str] = field(default_factory=list)  # outcomes that are not allowed, each with how to repeat it
    longest_wait: float = 0.0  # s, of all exchanges

    @property
    def sent(self) -> int:
        """The number of exchanges."""
        return sum(counts.total() for counts in self.kinds.values())

    def add(self, outcome: ExchangeOutcome, repeat: str) -> None:
        """Count one exchange; `repeat` says how to repeat it."""
        self.kinds.setdefault(outcome.kind, Counter())[outcome.ended] += 1
        self.longest_wait = max(self.longest_wait, outcome.wait)
        if outcome.problem:
            self.violations.append(f"{outcome.kind}: {outcome.problem}. To repeat it, call {repeat}.")


def run(
    deployment: Deployment,
    count: int,
    seed: int,
    clients: int = 32,
    progress: Callable[[int], object] = lambda done: None,
) -> Tally:
    """Send `count` exchanges to a service, three in ten of them good, on `clients` connections at a time.

    The same seed sends the same exchanges. `progress` gets the number of exchanges that have ended.
    """
    tally = Tally()
    with ThreadPoolExecutor(clients) as pool:
        running = {pool.submit(attempt, deployment, seed, number): number for number in range(count)}
        try:
            for done, future in enumerate(as_completed(running), 1):
                tally.add(future.result(), f"campaign.attempt(deployment, {seed}, {running[future]})")
                progress(done)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # an interruption does not wait for those to come
    return tally


def attempt(deployment: Deployment, seed: int, number: int) -> ExchangeOutcome:
    """Send one exchange of a campaign."""
    return carry_out(deployment, exchange_of(Face.of(deployment), seed, number))


def carry_out(deployment: Deployment, exchange: Exchange) -> ExchangeOutcome:
    """Send an exchange on a connection of its own, and judge what comes back."""
    address = urlsplit(deployment.predict)
    try:
        opened = socket.create_connection((str(address.hostname), address.port or 80), TIMEOUT)
    except OSError as error:
        return ExchangeOutcome(exchange.kind, "refused", f"no connection: {error}", 0.0)
    with opened as connection:
        _send(connection, exchange)
        sent = time.monotonic()
        if exchange.finish is Finish.DROP:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            return ExchangeOutcome(exchange.kind, "dropped", "", 0.0)
        ended, problem = _judge(connection, exchange)
        return ExchangeOutcome(exchange.kind, ended, problem, time.monotonic() - sent)


def exchange_of(face: Face, seed: int, number: int) -> Exchange:
    """The exchange with this number in the infinite sequence of a seed."""
    dice = Random(f"{seed} {number}")
    if dice.random() < _GOOD_SHARE:
        return good(dice).exchange(face, GOOD, frozenset({200}))
    kinds = [(kind, kind.gateway if face.is_gateway else kind.torchserve) for kind in KINDS]
    kind, allowed = dice.choice([(kind, allowed) for kind, allowed in kinds if allowed])
    return kind.make(dice).exchange(face, kind.name, allowed)


def _send(connection: socket.socket, exchange: Exchange) -> None:
    with contextlib.suppress(OSError):  # a server may refuse a request before its last byte
        for piece in exchange.pieces:
            connection.sendall(piece)
            if exchange.pause:
                time.sleep(exchange.pause)
        if exchange.finish is Finish.SHUT:
            connection.shutdown(socket.SHUT_WR)


def _judge(connection: socket.socket, exchange: Exchange) -> tuple[str, str]:
    """How an exchange ended, and what is wrong with that, if anything."""
    ended = ""
    stream = connection.makefile("rb")
    answers: Sequence[Answer | None] = exchange.answers or [None]
    for expected in answers:
        try:
            status, body = _read(stream, exchange.bodiless)
        except TimeoutError:
            return "hanging", f"no answer within {TIMEOUT:.0f} s"
        except ConnectionError:
            status, body = CLOSED, b""
        except (ValueError, LookupError, HTTPException) as error:
            return "nonsense", f"the answer is not valid HTTP: {error}"
        ended = _name(status)
        if status not in exchange.allowed:
            allowed = " or ".join(map(_name, sorted(exchange.allowed)))
            return ended, f"expected {allowed}, got {ended} {body[:200]!r}"
        if status == 200 and expected and not exchange.bodiless and (problem := _wrong(body, expected)):
            return ended, problem
    return ended, ""


def _name(status: int) -> str:
    return "closed" if status == CLOSED else str(status)


def _read(stream: BinaryIO, bodiless: bool) -> tuple[int, bytes]:
    """An answer's status and its body, as long as its headers say."""
    status = 100
    while status == 100:  # "Continue", before the answer itself
        line = stream.readline()
        if not line:
            return CLOSED, b""
        status = int(line.split()[1])
        headers = parse_headers(stream)
    return status, b"" if bodiless else stream.read(int(headers["Content-Length"] or 0))


def _wrong(body: bytes, expected: Answer) -> str:
    answer = Answer.parse(body)
    # TorchServe answers OPTIONS with its OpenAPI document.
    if b'"openapi"' in body[:100] or (answer is not None and answer.agrees(expected)):
        return ""
    return f"expected {expected.prediction} with {expected.confidence:.6f}, got {body[:200]!r}"
