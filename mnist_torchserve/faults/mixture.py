"""A mixture of good, bad, half-sent and dropped requests, and whether the service is unchanged after it."""

from collections.abc import Callable
from dataclasses import dataclass

import requests
from mnist_torchserve.service import health
from .bad_requests import campaign
from .bad_requests.campaign import Tally
from .testbed import Testbed

GROWTH = 1.1  # times the memory before
_WARM_UP = 0.2  # share of the requests, not counted: the JVM takes most of its memory under its first load
_SEED = 7


@dataclass(frozen=True)
class Mixture:
    """What a mixture did to the service."""

    face: str  # where it was sent
    tally: Tally  # of every request
    before: int  # resident bytes of the service, after the warm-up
    after: int  # the same afterwards
    well: bool  # the service was healthy after it

    def misses(self) -> list[str]:
        """The requirements that were not met."""
        growth = self.after / self.before
        checks = {
            **dict.fromkeys(self.tally.violations[:10], True),
            f"{len(self.tally.violations)} exchanges had an outcome that is not allowed": bool(self.tally.violations),
            "the service is unhealthy afterwards": not self.well,
            f"memory grew to {growth:.2f} times its size": growth > GROWTH,
        }
        return [f"mixture, {self.face}: {miss}" for miss, is_so in checks.items() if is_so]


def run(face: str, testbed: Testbed, count: int, progress: Callable[[int], object]) -> Mixture:
    """Send a mixture to a healthy service; `progress` gets the number of requests that have ended."""
    deployment = testbed.deployment(face)
    campaign.run(deployment, round(count * _WARM_UP), _SEED)
    before = testbed.memory()
    tally = campaign.run(deployment, count, _SEED + 1, progress=progress)
    return Mixture(face, tally, before, testbed.memory(), _is_well(testbed))


def _is_well(testbed: Testbed) -> bool:
    try:
        health.check(testbed.server.management_url, testbed.server.models[0])
    except health.UnhealthyError:
        return False
    return requests.get(f"{testbed.gateway.url}/health", timeout=2).status_code == 200
