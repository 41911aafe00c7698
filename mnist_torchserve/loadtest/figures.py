"""Figures over a span of time, from Locust's statistics: the whole run, one second of it, one step of a climb."""

import time
from dataclasses import dataclass
from typing import NamedTuple

import locust.stats
from locust.stats import RequestStats, StatsEntry, calculate_response_time_percentile, diff_response_time_dicts

TOTAL = "total"


@dataclass(frozen=True)
class EndpointFigures:
    """What was measured at one endpoint; times in ms."""

    requests: int
    failures: int
    rps: float
    mean: float
    p50: float
    p95: float
    p99: float
    min: float
    max: float


class _EndpointCounts(NamedTuple):
    """Locust's counts for one endpoint at one moment."""

    requests: int
    failures: int
    total_time: float  # ms
    times: dict[int, int]  # requests by their time
    live: dict[int, int]  # the dictionary that Locust counts in; a reset replaces it

    @classmethod
    def of(cls, entry: StatsEntry) -> "_EndpointCounts":
        live = entry.response_times
        return cls(entry.num_requests, entry.num_failures, entry.total_response_time, live.copy(), live)

    def since(self, earlier: "_EndpointCounts | None") -> "_EndpointCounts":
        """The counts added since `earlier`; all counts if Locust has reset its statistics in between."""
        if earlier is None or earlier.live is not self.live:
            return self
        return _EndpointCounts(
            self.requests - earlier.requests,
            self.failures - earlier.failures,
            self.total_time - earlier.total_time,
            diff_response_time_dicts(self.times, earlier.times),
            self.live,
        )

    def figures(self, seconds: float) -> EndpointFigures:
        p50, p95, p99 = (
            round(calculate_response_time_percentile(self.times, self.requests, p), 1) for p in (0.5, 0.95, 0.99)
        )
        return EndpointFigures(
            requests=self.requests,
            failures=self.failures,
            rps=round(self.requests / seconds, 2) if seconds else 0.0,
            mean=round(self.total_time / self.requests, 2) if self.requests else 0.0,
            p50=p50,
            p95=p95,
            p99=p99,
            min=round(min(self.times, default=0), 1),
            max=round(max(self.times, default=0), 1),
        )


class Window:
    """The counts of Locust from now on."""

    def __init__(self, stats: RequestStats) -> None:
        self._stats = stats
        self._began = time.time()
        self._before = _counts(stats)

    def figures(self) -> dict[str, EndpointFigures]:
        """The figures until now by endpoint, such as "GET /health", and those of all endpoints under TOTAL."""
        seconds = time.time() - self._began
        return {
            name: counts.since(self._before.get(name)).figures(seconds) for name, counts in _counts(self._stats).items()
        }


def since_reset(stats: RequestStats) -> dict[str, EndpointFigures]:
    """Figures since Locust last reset its statistics, by endpoint and under TOTAL."""
    seconds = (stats.last_request_timestamp or stats.start_time) - stats.start_time
    return {name: counts.figures(seconds) for name, counts in _counts(stats).items()}


def _counts(stats: RequestStats) -> dict[str, _EndpointCounts]:
    endpoints = {f"{method} {name}": entry for (name, method), entry in sorted(stats.entries.items())}
    return {name: _EndpointCounts.of(entry) for name, entry in [*endpoints.items(), (TOTAL, stats.total)]}


def _bucket(milliseconds: float) -> float:
    """Round to 0.1 ms below 10 ms, where Locust's steps of 1 ms are too coarse, and to two significant digits above."""
    if milliseconds < 10:
        return round(milliseconds, 1)
    if milliseconds < 100:
        return round(milliseconds)
    if milliseconds < 1000:
        return round(milliseconds, -1)
    return round(milliseconds, -2)


# Locust's documentation allows replacing this function; its annotation only has whole milliseconds.
locust.stats.bucket_response_time = _bucket  # type: ignore[assignment]  # finer than Locust's
