"""Overload: three times what the service can serve, and a crowd that tells what becomes of its requests meanwhile."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mnist_torchserve.benchmark import wrk
from mnist_torchserve.gateway.configuration import TEMPLATE
from mnist_torchserve.service import read_properties
from mnist_torchserve.waiting import wait_until
from .account import Account, Ending, quantile
from .crowd import Crowd, payloads
from .testbed import DEADLINES, GATEWAY, Testbed

TIMES = 3.0  # as much as the peak is wanted, and 80% of the peak served
# Judged is less than that: where gateway and TorchServe share a core, refusals take it from the answers, and a service
# that is out of CPU slows down those who ask. Below these bounds it would be a collapse; docs/reliability.md has more.
TIMES_AT_LEAST = 1.5
GOODPUT_AT_LEAST = 0.35
PROMPT = 1.0  # s that 99 of 100 refusals may take; Retry-After says as much
BACK = 5.0  # s
_PEAK_AT = (64, 128, 256)  # connections
_CONNECTIONS = 3000  # as many clients; the gateway takes 4,096 connections
_ADDRESSES = 250  # no client alone asks for more than the gateway allows to one address
_AIM = 1.1  # times what is wanted, as the rate cannot be set to the point
_PILOT = 3  # s
_WITNESS_PACE = 0.5  # s; 64 of them send 128 a second
_BEFORE = 3.0  # s
_JSON = "application/json"


@dataclass(frozen=True)
class Overload:
    """What an overload did."""

    face: str  # where it came in
    peak: float  # right answers a second that it can give at most
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
        """Seconds after which who was last in the queue is served."""
        return self.queue / self.flood.throughput

    def accepted_p99(self) -> float:
        """Seconds within which 99 of 100 had their right answer."""
        return quantile(self.account.waits(), 0.99)

    def refused_p99(self) -> float:
        """Seconds within which 99 of 100 had their refusal."""
        return quantile((r.wait for r in self.account.requests if r.ending is Ending.REFUSED), 0.99)

    def misses(self, *, timed: bool) -> list[str]:
        """What should not have been; how much and how quick it was is looked at where the overload is `timed`."""
        refusals = [request for request in self.account.requests if request.ending is Ending.REFUSED]
        others = len(self.account.requests) - len(refusals) - len(self.account.waits())
        offered, share = self.offered / self.peak, self.flood.throughput / self.peak
        untold = sum(not request.retry_after for request in refusals)
        checks = {
            f"{others} neither answered nor refused": others > 0,
            "not as before": self.again is None,
            f"{untold} refusals without Retry-After": self.face == GATEWAY and untold > 0,
        }
        # TorchServe alone answers as fast as the generator asks, so there is no overload of it to judge.
        if self.face == GATEWAY and timed:
            late = 2 * self.bound + PROMPT  # the queue ahead, and the gateway's own part as of a refusal
            checks |= {
                f"only {offered:.1f} times the peak offered": offered < TIMES_AT_LEAST,
                f"goodput {share:.0%} of the peak": share < GOODPUT_AT_LEAST,
                "no refusal": not refusals,
                f"refusals took {self.refused_p99():.2f} s": bool(refusals) and self.refused_p99() > PROMPT,
                f"p99 {self.accepted_p99():.2f} s": self.accepted_p99() > late,
                f"not as before within {BACK:g} s": self.again is not None and self.again > BACK,
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
    # All clients come through a load balancer, as many addresses do.
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
    """Seconds that each connection has to rest for all of them to offer what is wanted, found by trying."""
    pause = wanted = _CONNECTIONS / (TIMES * _AIM * peak)  # s from one request of a connection to its next
    for _ in range(2):
        tried = wrk.run(url, file, _JSON, _CONNECTIONS, _PILOT, pause, _ADDRESSES)
        waited = tried.seconds * _CONNECTIONS / tried.requests - pause
        pause = max(wanted - waited, 0.001)
    return pause


def _queue(face: str) -> int:
    """Requests that a face of the service takes at once."""
    if face == GATEWAY:
        [queue] = re.findall(r"max_requests: (\d+)", TEMPLATE.read_text())
    else:
        queue = read_properties()["job_queue_size"]
    return int(queue)


def _halves() -> tuple[set[int], set[int]]:
    """Half of the cores for the service, half for the generator, lest one takes from the other."""
    cores = sorted(os.sched_getaffinity(0))
    half = (len(cores) + 1) // 2
    return set(cores[:half]), set(cores[half:] or cores)


@contextmanager
def _on(cores: set[int]) -> Iterator[None]:
    """What this thread starts within runs on these cores."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)
