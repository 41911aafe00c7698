"""Load runs in the format of the history."""

from typing import Any


def made_run(value: float, rps: float = 100, baseline: float | None = None, **changes: str) -> dict[str, Any]:
    return {
        "date": "2026-01-01T00:00:00+00:00",
        "commit": "abc",
        "machine": "a machine",
        "profile": "seed",
        "verdict": "PASS",
        "figures": {"GET /": {"rps": 1}, "POST /predict": {"mean": value, "p95": 2 * value, "rps": rps}},
        "baseline_ratio": baseline,
        **changes,
    }


STEADY = [made_run(value, baseline=0.1) for value in (5, 6, 5.5, 40, 5)]  # one outlier does not move the median
