"""The results of faults, overloads and mixtures, as docs/reliability.md shows them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mnist_torchserve import machine
from mnist_torchserve.markdown import table
from .account import Ending
from .mixture import Mixture
from .overload import Overload
from .trial import Trial


@dataclass
class ChaosRun:
    """The results of a run of scripts/chaos."""

    trials: list[Trial] = field(default_factory=list)
    overloads: list[Overload] = field(default_factory=list)
    mixtures: list[Mixture] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)  # faults that this machine does not allow, with the reason

    def misses(self, *, timed: bool) -> list[str]:
        """The requirements that were not met; times are judged only if `timed`."""
        strained: list[Trial | Overload] = [*self.trials, *self.overloads]
        misses = [miss for each in strained for miss in each.misses(timed=timed)]
        return misses + [miss for each in self.mixtures for miss in each.misses()]


def markdown(run: ChaosRun, command: str, date: str) -> str:
    """The part of the page that is not written by hand."""
    parts = [f"Measured on {date} by `{command}` on {machine.description()}."]
    if run.trials:
        parts += ["## Faults", _faults(run.trials), "Requests without the right answer:", _reasons(run.trials)]
    if run.overloads:
        parts += ["## Overload", _overloads(run.overloads)]
    if run.mixtures:
        parts += ["## Bad input", _mixtures(run.mixtures)]
    parts += [f"Not run: {reason}." for reason in run.impossible]
    return "\n\n".join(part for part in parts if part) + "\n"


def _faults(trials: Sequence[Trial]) -> str:
    head = ["", "sent to", "requests", *(ending.value for ending in Ending), "longest wait, s"]
    head += ["answers as before after, s", "workers READY after, s"]
    rows = []
    for trial in trials:
        account = trial.account
        cells = [trial.fault.summary, trial.face, f"{len(account.requests):,}"]
        cells += [f"{account.count(ending):,}" for ending in Ending]
        rows.append([*cells, f"{account.longest_wait():.2f}", _seconds(trial.again), _seconds(trial.whole)])
    return table(head, rows)


def _reasons(trials: Sequence[Trial]) -> str:
    lines = []
    for trial in trials:
        counts = trial.account.reasons().most_common()
        if counts:
            told = ", ".join(f"{count:,} × {reason}" for reason, count in counts)
            lines.append(f"- {trial.fault.summary}, {trial.face}: {told}")
    return "\n".join(lines) or "None."


def _overloads(overloads: Sequence[Overload]) -> str:
    rows = [["", *(overload.face for overload in overloads)]]

    def row(name: str, *values: str) -> None:
        rows.append([name, *values])

    row("peak, right answers a second", *(f"{each.peak:,.0f}" for each in overloads))
    row("seconds", *(f"{each.flood.seconds:.0f}" for each in overloads))
    row("offered, requests a second", *(f"{each.offered:,.0f}" for each in overloads))
    row("÷ peak", *(f"{each.offered / each.peak:.2f}" for each in overloads))
    row("goodput, right answers a second", *(f"{each.flood.throughput:,.0f}" for each in overloads))
    row("÷ peak", *(f"{each.flood.throughput / each.peak:.2f}" for each in overloads))
    row("requests of the load generator", *(f"{each.flood.requests:,}" for each in overloads))
    row("refused", *(f"{each.flood.refused:,}" for each in overloads))
    row("broken connections", *(f"{each.flood.failed:,}" for each in overloads))
    row("requests of the 64 clients", *(f"{len(each.account.requests):,}" for each in overloads))
    for ending in Ending:
        row(ending.value, *(f"{each.account.count(ending):,}" for each in overloads))
    row("p99 of the answers, s", *(f"{each.accepted_p99():.2f}" for each in overloads))
    row("the queue's size ÷ goodput, s", *(f"{each.bound:.2f}" for each in overloads))
    row("p99 of the refusals, s", *(f"{each.refused_p99():.2f}" for each in overloads))
    row("answers as before after, s", *(_seconds(each.again) for each in overloads))
    return table(rows[0], rows[1:])


def _mixtures(mixtures: Sequence[Mixture]) -> str:
    ends = sorted({ended for each in mixtures for counts in each.tally.kinds.values() for ended in counts})
    rows = []
    for each in mixtures:
        counts = [sum(kind[ended] for kind in each.tally.kinds.values()) for ended in ends]
        cells = [each.face, f"{each.tally.sent:,}", *(f"{count:,}" for count in counts)]
        cells += [f"{each.tally.longest_wait:.2f}", str(len(each.tally.violations))]
        rows.append([*cells, f"{each.before / 2**20:.0f}", f"{each.after / 2**20:.0f}", "yes" if each.well else "no"])
    head = ["sent to", "requests", *ends, "longest wait, s", "not allowed", "MiB before", "after", "healthy after"]
    return table(head, rows)


def _seconds(moment: float | None) -> str:
    return "never" if moment is None else f"{moment:.1f}"
