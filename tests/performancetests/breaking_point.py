"""The load that looks for the breaking point: more and more hasty users until an objective breaks.

Then it backs off to the last load that held, confirms it for twice as long, and looks whether the service is as quick
as before once the load has gone.
"""

import time
from collections.abc import Generator
from dataclasses import asdict
from itertools import takewhile
from typing import Any

import psutil
from locust import LoadTestShape
from locust.runners import MasterRunner
from mnist_torchserve.loadtest import recorder, verdict
from mnist_torchserve.loadtest.figures import EndpointFigures, Window
from mnist_torchserve.loadtest.verdict import PREDICT
from tests.performancetests.locustfile import StressTestUser  # noqa: F401 - the user of this load

UNLOADED = 5  # users
BUSY = 90  # % of CPU that counts as saturated

Tick = tuple[int, float]


class BreakingPoint(LoadTestShape):
    """Climb, back off, confirm, recover; what it saw stands in the record under `climb`."""

    use_common_options = True  # --users is the most that it climbs to

    def reset_time(self) -> None:
        """Locust calls this when the test starts."""
        self._plan = self._climb()

    def tick(self) -> Tick | None:
        """Users and spawn rate for the coming second; None ends the test."""
        return next(self._plan, None)

    def _climb(self) -> Generator[Tick, None, None]:
        assert self.runner is not None
        environment = self.runner.environment
        options = recorder.options(environment)
        wanted = recorder.wanted(environment)
        self._profile = wanted[options.verdict or "breaking-point"]
        self._climb_settings = settings = wanted.climb
        self._spawn_rate = float(options.spawn_rate or 100)
        report: dict[str, Any] = {"steps": [], "sustained": None, "confirmation": []}

        report["unloaded_before"] = yield from self._hold(UNLOADED, settings.hold)
        most = options.num_users or settings.first
        users = min(settings.first, most)
        while users <= most:
            step = yield from self._hold(users, settings.hold)
            if not step["held"]:  # once may be chance
                step = yield from self._hold(users, settings.hold)
            report["steps"].append(step)
            if not step["held"]:
                break
            users = round(users * settings.factor)
        report["saturated"] = _saturated(report["steps"][-1])
        for step in reversed(list(takewhile(lambda step: step["held"], report["steps"]))):
            again = yield from self._hold(step["users"], 2 * settings.hold)
            report["confirmation"].append(again)
            if again["held"]:
                report["sustained"] = again
                break
        report["unloaded_after"] = yield from self._hold(UNLOADED, settings.hold)
        recorder.NOTES["climb"] = report

    def _hold(self, users: int, seconds: int) -> Generator[Tick, None, dict[str, Any]]:
        """Hold a number of users for some seconds: their figures, and whether the objectives held."""
        assert self.runner is not None
        while self.runner.user_count != users:
            yield users, self._spawn_rate
        for _ in range(self._climb_settings.settle):
            yield users, self._spawn_rate
        window, began, refused = Window(self.runner.stats), time.time(), self._refused()
        psutil.cpu_percent()
        for _ in range(seconds):
            yield users, self._spawn_rate
        figures = window.figures()
        findings = verdict.endpoints(self._profile, {name: asdict(each) for name, each in figures.items()})
        measured = figures.get(PREDICT, EndpointFigures(0, 0, 0, 0, 0, 0, 0, 0, 0))
        step = {
            "users": users,
            **asdict(measured),
            "held": all(finding.met for finding in findings),
            "broken": [str(finding) for finding in findings if not finding.met],
            "refused": self._refused() - refused,
            "machine_cpu": psutil.cpu_percent(),
            "generator_cpu": self._generator_cpu(),
            "began": began,
            "ended": time.time(),
        }
        print(
            f"{users:5} users  {measured.rps:7.1f}/s  p50 {measured.p50:.1f}  p95 {measured.p95:.1f}  "
            f"p99 {measured.p99:.1f} ms  {measured.failures} failed  {'held' if step['held'] else 'broken'}",
            flush=True,
        )
        return step

    def _refused(self) -> int:
        """Requests that the full queue has refused so far."""
        assert self.runner is not None
        return sum(error.occurrences for error in self.runner.errors.values() if "503" in error.to_name())

    def _generator_cpu(self) -> float:
        """The busiest of Locust's processes, in % of one core."""
        if isinstance(self.runner, MasterRunner):
            return max(float(worker.cpu_usage) for worker in self.runner.clients.values())
        assert self.runner is not None
        return self.runner.current_cpu_usage


def _saturated(step: dict[str, Any]) -> str:
    """What had no more to give when a step broke."""
    if step["held"]:
        return "nothing: all users are there and the objectives hold"
    if step["generator_cpu"] > BUSY:
        return "the load generator's CPU"
    if step["refused"]:
        return "the queue"
    if step["machine_cpu"] > BUSY:
        return "the machine's CPU"
    return "nothing that can be seen from here"
