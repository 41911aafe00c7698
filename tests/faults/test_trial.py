"""The verdict on a fault that must not affect other clients."""

from typing import Any

import pytest
from mnist_torchserve.faults.account import Account, Attempt, Ending
from mnist_torchserve.faults.catalog import FAULTS
from mnist_torchserve.faults.testbed import TORCHSERVE
from mnist_torchserve.faults.trial import Trial

[POISON] = [fault for fault in FAULTS if fault.harmless]


def trial(**changes: Any) -> Trial:
    """A trial in which no other client noticed anything, apart from the changes."""
    account = Account([Attempt(0.0, 0.01, Ending.ANSWERED)])
    harmless: dict[str, Any] = {"account": account, "lost": 0, "again": 0.0, "whole": 0.0, "silence": 0.0, "dropped": 0}
    return Trial(POISON, TORCHSERVE, **(harmless | {"slower": 1.0, "replaced": 0} | changes))


def test_harmless_fault_misses_nothing() -> None:
    assert trial().misses(timed=True) == []


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"account": Account([Attempt(0.0, 0.01, Ending.FAILED, "503")])}, "1 requests"),
        ({"account": Account([Attempt(0.0, 0.01, Ending.REFUSED, "429")])}, "1 requests"),
        ({"replaced": 2}, "2 workers"),
        ({"slower": 3.0}, "3.0 times"),
    ],
)
def test_harm_to_others_is_a_miss(changes: dict[str, Any], value: str) -> None:
    [miss] = trial(**changes).misses(timed=True)
    assert miss.startswith(f"poison, {TORCHSERVE}: ")
    assert value in miss


def test_slowness_is_judged_where_it_is_timed_alone() -> None:
    assert trial(slower=3.0).misses(timed=False) == []
