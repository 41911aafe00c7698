"""Pages of metrics in Prometheus's format, and what two readings say about the time between them."""

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
    """All samples of several pages at one moment."""

    def __init__(self, pages: Iterable[str]) -> None:
        self.at = time.monotonic()
        self._samples: dict[str, list[Sample]] = defaultdict(list)
        for page in pages:
            # Types are left out, since the parser adds `_total` to the names of counters without it.
            lines = "".join(line for line in page.splitlines(keepends=True) if not line.startswith("#"))
            for family in text_string_to_metric_families(lines):
                for sample in family.samples:
                    self._samples[sample.name].append(Sample(sample.labels, sample.value))

    def samples(self, name: str, **labels: str) -> list[Sample]:
        """The samples with this name and at least these labels."""
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
    """The time between two readings. A result is None if nothing was counted for it."""

    def __init__(self, before: Scrape, after: Scrape) -> None:
        self._before = before
        self.after = after

    def increases(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """How much a counter has grown, for each value of a label."""
        before = {frozenset(sample.labels.items()): sample.value for sample in self._before.samples(name, **labels)}
        grown: dict[str, float] = defaultdict(float)
        for sample in self.after.samples(name, **labels):
            more = sample.value - before.get(frozenset(sample.labels.items()), 0)
            # A counter that has become smaller was set to zero by a restart in between.
            grown[sample.labels.get(label, "")] += more if more >= 0 else sample.value
        return grown

    def increase(self, name: str, **labels: str) -> float | None:
        """How much a counter has grown; None if there is no such counter."""
        if not self.after.samples(name, **labels):
            return None
        return sum(self.increases(name, "", **labels).values())

    def rate(self, name: str, **labels: str) -> float | None:
        """How much a counter has grown per second; None if there is no such counter."""
        grown = self.increase(name, **labels)
        return None if grown is None else grown / (self.after.at - self._before.at)

    def ratio(self, part: str, whole: str, **labels: str) -> float | None:
        """The growth of one counter ÷ that of another; None if nothing was counted."""
        parts, wholes = self.increase(part, **labels), self.increase(whole, **labels)
        return None if parts is None or not wholes else parts / wholes

    def mean(self, histogram: str, **labels: str) -> float | None:
        """The mean of a histogram's observations."""
        return self.ratio(f"{histogram}_sum", f"{histogram}_count", **labels)

    def quantile(self, histogram: str, q: float, **labels: str) -> float | None:
        """A quantile of a histogram's observations, interpolated within a bucket as Prometheus does."""
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
        return lower  # above the last bound, the value is unknown
