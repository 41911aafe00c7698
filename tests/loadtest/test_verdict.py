"""What is made of figures by themselves: a trend over earlier runs, and the growth within a soak."""

from typing import Any

import pytest
from mnist_torchserve.loadtest import history, objectives, verdict
from tests.support.load_runs import STEADY, made_run


@pytest.mark.parametrize(
    ("latest", "worse"),
    [
        (made_run(6, baseline=0.1), set()),
        (made_run(3, rps=300, baseline=0.05), set()),
        (made_run(8, baseline=0.1), {"mean", "p95"}),
        (made_run(5, rps=70, baseline=0.1), {"throughput"}),
        (made_run(5, baseline=0.2), {"ratio to baseline"}),
    ],
)
def test_regression_is_seen_by_ratio(latest: dict[str, Any], worse: set[str]) -> None:
    findings = history.regressions([*STEADY, latest], objectives.load().trend)
    assert len(findings) == 4
    named = {finding.subject.removeprefix("seed: ").partition(" ÷")[0] for finding in findings if not finding.met}
    assert named == worse


def test_two_earlier_runs_are_too_few_to_judge() -> None:
    assert history.regressions([*STEADY[:2], made_run(50)], objectives.load().trend) == []


def soaked(**last: float) -> dict[str, Any]:
    """A soak of 40 samples whose last quarter differs from the rest."""
    steady = {"jvm_memory": 400.0, "worker_memory": 300.0, "open_files": 200.0, "p95": 5.0}
    rows = [{**steady, "t": t, **(last if t >= 30 else {})} for t in range(40)]
    return {
        "endpoints": {},
        "tally": {},
        "footprint": rows,
        "samples": [{"t": row["t"], "endpoints": {"POST /predict": {"p95": row["p95"]}}} for row in rows],
    }


@pytest.mark.parametrize(
    ("last", "growing"),
    [
        ({}, None),
        ({"jvm_memory": 430.0, "open_files": 210.0, "p95": 6.0}, None),
        ({"jvm_memory": 500.0}, "JVM's memory, MiB"),
        ({"worker_memory": 400.0}, "workers' memory, MiB"),
        ({"open_files": 300.0}, "open files"),
        ({"p95": 9.0}, "p95 of /predict, ms"),
    ],
)
def test_soak_fails_on_growth(last: dict[str, float], growing: str | None) -> None:
    findings = verdict.judge(objectives.load(), "soak", soaked(**last))
    growth = {each.subject.removeprefix("growth of "): each.met for each in findings if "growth" in each.subject}
    assert len(growth) == 4
    grown = [subject for subject, met in growth.items() if not met]
    assert grown == ([growing] if growing else [])
