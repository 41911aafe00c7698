"""The history of runs with a verdict, one line of JSON each, and how the latest run compares with it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from mnist_torchserve import contract, machine
from mnist_torchserve.project import ROOT, git
from .objectives import Trend
from .verdict import PREDICT, Finding, Verdict, at_least, at_most

FILE = ROOT / "results" / "history.jsonl"

Entry = Mapping[str, Any]
Kind = tuple[str, str, str]  # profile, machine and model


class HistoryError(Exception):
    """The history cannot be read; the message says which line is wrong."""


def entry(profile: str, date: str, run: Mapping[str, Any], verdict: Verdict, baseline: float | None) -> dict[str, Any]:
    """The line of one run.

    Args:
        profile: its name.
        date: when the run began, ISO 8601.
        run: what it measured.
        verdict: its verdict.
        baseline: mean of /predict ÷ that of the baseline under the same load, if a baseline ran.
    """
    figures = {name: dict(each) for name, each in run["endpoints"].items()}
    if "climb" in run:  # latencies at the limit cannot be compared between runs
        figures = {PREDICT: {"rps": run["climb"]["sustained"]["rps"] if run["climb"]["sustained"] else 0}}
    return {
        "date": date,
        "commit": _commit(),
        "machine": machine.description(),
        "profile": profile,
        "model": contract.model(),
        "verdict": str(verdict),
        "figures": figures,
        "baseline_ratio": baseline,
    }


def append(file: Path, line: Entry) -> None:
    """Add a run's line to the history."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as history:
        history.write(json.dumps(line) + "\n")


def read(file: Path) -> list[dict[str, Any]]:
    """All runs, the oldest first.

    Raises:
        HistoryError: there is no history, or a line of it is broken.
    """
    if not file.is_file():
        raise HistoryError(f"There is no history at {file} yet. Every run with a verdict adds a line to it.")
    entries = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        try:
            each = json.loads(line)
            values(each), each["date"], each["machine"], each["profile"]
        except (ValueError, LookupError, TypeError, AttributeError):
            raise HistoryError(f"Line {number} of {file} does not describe a run. Correct or delete it.") from None
        entries.append(each)
    return entries


def comparable(entries: Sequence[Entry]) -> dict[Kind, list[Entry]]:
    """Runs that can be compared: those of the same profile, machine and model."""
    groups: dict[Kind, list[Entry]] = {}
    for each in entries:
        groups.setdefault((each["profile"], each["machine"], each.get("model", contract.MNIST)), []).append(each)
    return groups


def regressions(entries: Sequence[Entry], limits: Trend) -> list[Finding]:
    """Compare the latest of comparable runs with the median of the earlier ones, by ratio."""
    *earlier, latest = entries
    findings = []
    for name, value in values(latest).items():
        before = [known[name] for known in map(values, earlier) if name in known]
        if len(before) < limits.earlier:
            continue
        middle = median(before)
        ratio = value / middle if middle else 1.0
        subject = f"{latest['profile']}: {name} ÷ median of {len(before)}"
        judged = at_least if name == "throughput" else at_most
        findings.append(judged(subject, limits.throughput if name == "throughput" else limits.latency, ratio))
    return findings


def values(each: Entry) -> dict[str, float]:
    """The values of a run that are compared."""
    figures = next(figures for name, figures in each["figures"].items() if name.startswith(PREDICT))
    watched = {"mean": figures.get("mean"), "p95": figures.get("p95"), "throughput": figures["rps"]}
    watched["ratio to baseline"] = each.get("baseline_ratio")
    return {name: float(value) for name, value in watched.items() if value is not None}


def _commit() -> str:
    """The current commit, with `-dirty` if files have changed; docs/, where the history is, does not count."""
    changed = git("diff", "--name-only", "HEAD", "--", ".", ":(exclude)docs")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("-dirty" if changed else "")
