"""Counts that Locust does not keep itself, summed over its worker processes."""

from collections import Counter
from typing import Any

from locust import events
from locust.env import Environment

_COUNTS: Counter[str] = Counter()


def add(name: str, amount: float = 1) -> None:
    """Add to a count."""
    _COUNTS[name] += amount  # type: ignore[assignment]  # typeshed allows only whole numbers


def counts() -> dict[str, float]:
    """All counts since the statistics began."""
    return dict(_COUNTS)


@events.report_to_master.add_listener
def _send(client_id: str, data: dict[str, Any]) -> None:
    data["tally"] = counts()
    _COUNTS.clear()


@events.worker_report.add_listener
def _receive(client_id: str, data: dict[str, Any]) -> None:
    for name, amount in data["tally"].items():
        add(name, amount)


@events.init.add_listener
def _reset_with_the_statistics(environment: Environment, **_: Any) -> None:
    def reset(**_: Any) -> None:
        if environment.reset_stats:
            _COUNTS.clear()

    environment.events.test_start.add_listener(lambda **_: _COUNTS.clear())
    environment.events.spawning_complete.add_listener(reset)
