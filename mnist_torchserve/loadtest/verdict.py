"""The verdict: what a run has measured, compared with its objectives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from statistics import median
from typing import Any

from mnist_torchserve.contract import reads_digits
from .objectives import Growth, Objectives, Profile, Versions

Record = Mapping[str, Any]  # of a run, as the recorder writes it

PREDICT = "POST /predict"
_BOTH = ("first", "second")


class Verdict(IntEnum):
    """The verdict on a run; the value is the exit code."""

    PASS = 0
    FAIL = 1
    NO_VERDICT = 3  # 2 is for wrong usage

    def __str__(self) -> str:
        return self.name.replace("_", " ")


@dataclass(frozen=True)
class Finding:
    """One objective, what was measured, and whether it was met."""

    subject: str
    limit: str
    measured: str
    met: bool

    def __str__(self) -> str:
        return f"{'PASS' if self.met else 'FAIL'}  {self.subject:<36} {self.limit:>12}   {self.measured}"


def judge(objectives: Objectives, name: str, run: Record) -> list[Finding]:
    """Compare a run with all objectives of the profile `name`."""
    profile = objectives[name]
    if "climb" in run:
        return _climb(run["climb"], objectives.climb.recovered)
    findings = endpoints(profile, run["endpoints"])
    tally = run["tally"]
    if profile.recognised is not None and reads_digits():
        findings.append(at_least("digits recognised", profile.recognised, _share(tally, "digits recognised", "digits")))
    if profile.arrivals is not None:
        share = _share(tally, "arrivals answered", "arrivals intended")
        findings.append(at_least("arrivals answered of intended", profile.arrivals, share))
    if "digits compared" in tally:
        findings += _versions(run, objectives.versions)
    if profile.growth:
        findings += _growth(run, objectives.growth)
    return findings


def conclude(findings: Sequence[Finding], run: Record) -> Verdict:
    """The verdict of all findings; there is none if the load generator was saturated, since it measured itself."""
    if run["saturated"]:
        return Verdict.NO_VERDICT
    return Verdict.PASS if all(finding.met for finding in findings) else Verdict.FAIL


def endpoints(profile: Profile, measured: Mapping[str, Mapping[str, float]]) -> list[Finding]:
    """Compare the figures of each endpoint with its objectives."""
    findings = []
    for name, endpoint in profile.endpoints.items():
        figures = measured.get(name)
        if not figures or not figures["requests"]:
            findings.append(Finding(name, "requests ≥ 1", "0", False))
            continue
        limits = {figure: getattr(endpoint, figure) for figure in ("mean", "p50", "p95", "p99")}
        findings += [
            at_most(f"{name} {figure}", limit, figures[figure], " ms")
            for figure, limit in limits.items()
            if limit is not None
        ]
        if endpoint.failure_ratio is not None:
            ratio = figures["failures"] / figures["requests"]
            findings.append(at_most(f"{name} failure ratio", endpoint.failure_ratio, ratio))
        if endpoint.min_rps is not None:
            findings.append(at_least(f"{name} throughput", endpoint.min_rps, figures["rps"], "/s"))
    return findings


def at_most(subject: str, limit: float, measured: float, unit: str = "") -> Finding:
    """Compare a figure with an upper limit."""
    return Finding(subject, f"≤ {limit:g}{unit}", f"{measured:.4g}{unit}", measured <= limit)


def at_least(subject: str, limit: float, measured: float, unit: str = "") -> Finding:
    """Compare a figure with a lower limit."""
    return Finding(subject, f"≥ {limit:g}{unit}", f"{measured:.4g}{unit}", measured >= limit)


def _climb(climb: Mapping[str, Any], recovered: float) -> list[Finding]:
    sustained = climb["sustained"]
    load = f"{sustained['users']} users, {sustained['rps']:.0f}/s" if sustained else "none"
    ratio = climb["unloaded_after"]["p50"] / max(climb["unloaded_before"]["p50"], 0.1)
    return [
        Finding("load sustained and confirmed", "any", load, sustained is not None),
        at_most("unloaded p50, after ÷ before", recovered, ratio),
        at_most("failures when unloaded again", 0, climb["unloaded_after"]["failures"]),
    ]


def _versions(run: Record, limits: Versions) -> list[Finding]:
    tally = run["tally"]
    first, second = (_share(tally, f"recognised, {which}", "digits compared") for which in _BOTH)
    findings = [
        at_least("equal predictions", limits.agreement, _share(tally, "agreed", "digits compared")),
        at_most("digits recognised, lost", limits.recognised, first - second),
    ]
    for kind in ("digits", "random pixels"):
        before, after = (_share(tally, f"confidence in {kind}, {which}", f"{kind} compared") for which in _BOTH)
        finding = at_most(f"confidence in {kind}, moved", limits.confidence, abs(after - before))
        findings.append(replace(finding, measured=f"{finding.measured} ({before:.4f} → {after:.4f})"))
    p95s = [run["endpoints"][f"{PREDICT} ({which})"]["p95"] for which in _BOTH]
    return [*findings, at_most("p95, second ÷ first", limits.latency, p95s[1] / max(p95s[0], 0.1))]


def _growth(run: Record, limits: Growth) -> list[Finding]:
    """Compare the median of the last quarter with that of the second; the first quarter is the warm-up.

    Memory and open files are left out if the service is on another machine.
    """
    footprint = [sample for sample in run.get("footprint", []) if "jvm_memory" in sample]
    series: list[tuple[str, float, list[float]]] = []
    if footprint:
        series = [
            ("JVM's memory, MiB", limits.memory, [sample["jvm_memory"] for sample in footprint]),
            ("workers' memory, MiB", limits.memory, [sample["worker_memory"] for sample in footprint]),
            ("open files", limits.open_files, [sample["open_files"] for sample in footprint]),
        ]
    predict = [sample["endpoints"][PREDICT] for sample in run["samples"] if PREDICT in sample["endpoints"]]
    series.append(("p95 of /predict, ms", limits.latency, [figures["p95"] for figures in predict]))
    return [_growth_of(*each) for each in series]


def _growth_of(subject: str, limit: float, values: list[float]) -> Finding:
    size = len(values) // 4
    if not size:
        return Finding(f"growth of {subject}", "4 samples", str(len(values)), False)
    earlier, later = median(values[size : 2 * size]), median(values[3 * size :])
    finding = at_most(f"growth of {subject}", limit, later / max(earlier, 0.1))
    return replace(finding, measured=f"{finding.measured} ({earlier:.4g} → {later:.4g})")


def _share(tally: Mapping[str, float], part: str, whole: str) -> float:
    return tally.get(part, 0) / max(tally.get(whole, 0), 1)
