"""Prometheus's pages of metrics, and what two readings of them say of the time between."""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import requests
from prometheus_client.parser import text_string_to_metric_families

_TIMEOUT = 2.0  # s


@dataclass(frozen=True)
class Sample:
    """A value with its labels."""

    labels: dict[str, str]
    value: float


class Scrape:
    """All samples of some pages at one moment."""

    def __init__(self, pages: Iterable[str]) -> None:
        self.at = time.monotonic()
        self._samples: dict[str, list[Sample]] = defaultdict(list)
        for page in pages:
            # Without their types: the parser adds `_total` to the names of counters that lack it.
            lines = "".join(line for line in page.splitlines(keepends=True) if not line.startswith("#"))
            for family in text_string_to_metric_families(lines):
                for sample in family.samples:
                    self._samples[sample.name].append(Sample(sample.labels, sample.value))

    def samples(self, name: str, **labels: str) -> list[Sample]:
        """The samples of a name that have these labels, among others."""
        return [sample for sample in self._samples.get(name, []) if labels.items() <= sample.labels.items()]

    def sum(self, name: str, **labels: str) -> float | None:
        """The sum of a gauge's samples; None if there are none."""
        found = [sample.value for sample in self.samples(name, **labels)]
        return sum(found) if found else None


def read(url: str) -> str | None:
    """A page of metrics; None if there is no answer."""
    try:
        answer = requests.get(f"{url}/metrics", timeout=_TIMEOUT)
        answer.raise_for_status()
    except requests.RequestException:
        return None
    return answer.text


class Interval:
    """The time between two readings. What nothing was counted for is None."""

    def __init__(self, before: Scrape, after: Scrape) -> None:
        self._before = before
        self.after = after

    def increases(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """What a counter has grown by, by the values of a label."""
        before = {frozenset(sample.labels.items()): sample.value for sample in self._before.samples(name, **labels)}
        grown: dict[str, float] = defaultdict(float)
        for sample in self.after.samples(name, **labels):
            more = sample.value - before.get(frozenset(sample.labels.items()), 0)
            # One that has become less was set to zero in between, by a restart.
            grown[sample.labels.get(label, "")] += more if more >= 0 else sample.value
        return grown

    def increase(self, name: str, **labels: str) -> float | None:
        """What a counter has grown by; None if it is not there."""
        if not self.after.samples(name, **labels):
            return None
        return sum(self.increases(name, "", **labels).values())

    def rate(self, name: str, **labels: str) -> float | None:
        """The same by the second."""
        grown = self.increase(name, **labels)
        return None if grown is None else grown / (self.after.at - self._before.at)

    def ratio(self, part: str, whole: str) -> float | None:
        """What one counter has grown by, for each one that another has."""
        parts, wholes = self.increase(part), self.increase(whole)
        return None if parts is None or not wholes else parts / wholes

    def mean(self, histogram: str) -> float | None:
        """Mean of what a histogram has observed."""
        return self.ratio(f"{histogram}_sum", f"{histogram}_count")

    def quantile(self, histogram: str, q: float, **labels: str) -> float | None:
        """A quantile of what a histogram has observed, by Prometheus's interpolation within a bucket."""
        grown = self.increases(f"{histogram}_bucket", "le", **labels)
        buckets = sorted((float(bound), count) for bound, count in grown.items())
        if not buckets or not buckets[-1][1]:
            return None
        rank = q * buckets[-1][1]
        lower, below = 0.0, 0.0
        for bound, count in buckets[:-1]:
            if count >= rank:
                return lower + (bound - lower) * (rank - below) / (count - below)
            lower, below = bound, count
        return lower  # above the last bound, nothing is known
