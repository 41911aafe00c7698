"""Overload: three times what the service can serve, and a crowd that records what happens to its own requests."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml
from mnist_torchserve.benchmark import wrk
from mnist_torchserve.gateway.configuration import TEMPLATE
from mnist_torchserve.service import read_properties
from mnist_torchserve.waiting import wait_until
from .account import Account, Ending, quantile
from .crowd import Crowd, payloads
from .testbed import DEADLINES, GATEWAY, Testbed

TIMES = 3.0  # the load as a multiple of the peak; the aim is to serve 80% of the peak under it
# The verdict requires less: where the gateway and TorchServe share a core, refusals take CPU from answers, and a busy
# service slows down its clients. Less than these bounds would be a collapse; docs/reliability.md has the details.
TIMES_AT_LEAST = 1.5
GOODPUT_AT_LEAST = 0.35
PROMPT = 1.0  # s that 99 of 100 refusals may take; Retry-After has the same value
BACK = 5.0  # s
_PEAK_AT = (64, 128, 256)  # connections
_CONNECTIONS = 3000  # one for each client; the gateway takes 4,096 connections
_ADDRESSES = 250  # so many that no address exceeds the gateway's rate limit
_AIM = 1.1  # times the wanted rate, since the rate cannot be set exactly
_PILOT = 3  # s
_WITNESS_PACE = 0.5  # s; 64 of them send 128 a second
_BEFORE = 3.0  # s
_JSON = "application/json"


@dataclass(frozen=True)
class Overload:
    """What an overload did to the service."""

    face: str  # where it was sent
    peak: float  # the most right answers a second that the service can give
    flood: wrk.Result
    queue: int  # requests that may wait
    account: Account  # of the crowd's requests during the flood
    again: float | None  # s after it until the crowd was answered as before; None if never

    @property
    def offered(self) -> float:
        """Requests a second."""
        return (self.flood.requests + self.flood.failed) / self.flood.seconds

    @property
    def bound(self) -> float:
        """Seconds until the last request of a full queue is served."""
        return self.queue / self.flood.throughput

    def accepted_p99(self) -> float:
        """Seconds within which 99 of 100 right answers arrived."""
        return quantile(self.account.waits(), 0.99)

    def refused_p99(self) -> float:
        """Seconds within which 99 of 100 refusals arrived."""
        return quantile((r.wait for r in self.account.requests if r.ending is Ending.REFUSED), 0.99)

    def misses(self, *, timed: bool) -> list[str]:
        """The requirements that were not met; throughput and times are judged only if `timed`."""
        refusals = [request for request in self.account.requests if request.ending is Ending.REFUSED]
        others = len(self.account.requests) - len(refusals) - len(self.account.waits())
        offered, share = self.offered / self.peak, self.flood.throughput / self.peak
        untold = sum(not request.retry_after for request in refusals)
        checks = {
            f"{others} requests neither answered nor refused": others > 0,
            "no recovery": self.again is None,
            f"{untold} refusals without Retry-After": self.face == GATEWAY and untold > 0,
        }
        # TorchServe alone answers as fast as the generator asks, so there is no overload of it to judge.
        if self.face == GATEWAY and timed:
            late = 2 * self.bound + PROMPT  # the queue ahead, and what the gateway itself takes, as for a refusal
            checks |= {
                f"the load was only {offered:.1f} times the peak": offered < TIMES_AT_LEAST,
                f"goodput {share:.0%} of the peak": share < GOODPUT_AT_LEAST,
                "no refusal": not refusals,
                f"p99 of the refusals {self.refused_p99():.2f} s": bool(refusals) and self.refused_p99() > PROMPT,
                f"p99 of the answers {self.accepted_p99():.2f} s": self.accepted_p99() > late,
                f"no recovery within {BACK:g} s": self.again is not None and self.again > BACK,
            }
        return [f"overload, {self.face}: {miss}" for miss, is_so in checks.items() if is_so]


def run(face: str, folder: Path, seconds: float) -> Overload:
    """Start a service on half of the cores, find its peak from the other half, and flood it.

    Raises:
        WrkError: wrk is missing or failed.
        ServiceError: the service does not start.
    """
    file = folder / "payloads"
    wrk.write_payloads(file, payloads(1000))
    # As behind a load balancer, the client's address is in X-Forwarded-For.
    testbed = Testbed(folder, trusted_proxies=1)
    servers, generator = _halves()
    with _on(generator), ExitStack() as stack:
        with _on(servers):
            stack.enter_context(testbed.running())
        url = testbed.deployment(face).predict
        wrk.run(url, file, _JSON, _PEAK_AT[0], max(seconds / 4, 4), addresses=_ADDRESSES)
        shots = [wrk.run(url, file, _JSON, at, max(seconds / 12, 2), addresses=_ADDRESSES) for at in _PEAK_AT]
        peak = max(shot.throughput for shot in shots)
        queue = _queue(face)
        pause = _pause(url, file, peak)
        crowd = Crowd(url, DEADLINES[face], pace=_WITNESS_PACE)
        with crowd.running():
            time.sleep(_BEFORE)
            struck = time.monotonic()
            flood = wrk.run(url, file, _JSON, _CONNECTIONS, seconds, pause, _ADDRESSES)
            over = time.monotonic()
            with suppress(TimeoutError):  # never
                wait_until(lambda: crowd.account().recovered(struck, over) is not None, 2 * BACK, poll=0.1)
            again = crowd.account().recovered(struck, over)
    return Overload(face, peak, flood, queue, crowd.account().during(struck + 1, over - 1), again)


def _pause(url: str, file: Path, peak: float) -> float:
    """The pause of each connection, in s, with which all of them offer the wanted load; found by trying."""
    pause = wanted = _CONNECTIONS / (TIMES * _AIM * peak)  # s from one request of a connection to its next
    for _ in range(2):
        tried = wrk.run(url, file, _JSON, _CONNECTIONS, _PILOT, pause, _ADDRESSES)
        waited = tried.seconds * _CONNECTIONS / tried.requests - pause
        pause = max(wanted - waited, 0.001)
    return pause


def _queue(face: str) -> int:
    """The number of requests that a face of the service accepts at once."""
    if face == GATEWAY:
        clusters = yaml.safe_load(TEMPLATE.read_text())["static_resources"]["clusters"]
        [inference] = [cluster for cluster in clusters if cluster["name"] == "inference"]
        queue = inference["circuit_breakers"]["thresholds"][0]["max_requests"]
    else:
        queue = read_properties()["job_queue_size"]
    return int(queue)


def _halves() -> tuple[set[int], set[int]]:
    """Half of the cores for the service and half for the generator, so that neither slows down the other."""
    cores = sorted(os.sched_getaffinity(0))
    half = (len(cores) + 1) // 2
    return set(cores[:half]), set(cores[half:] or cores)


@contextmanager
def _on(cores: set[int]) -> Iterator[None]:
    """Processes that this thread starts in the block run on these cores."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)
