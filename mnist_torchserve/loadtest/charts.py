"""Charts of load tests: a run over time, a climb to the breaking point, the history."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from . import history
from .verdict import PREDICT, Record

PERCENTILES = {"p50": "#1b7837", "p95": "#d08a00", "p99": "#b2182b"}
BLUE, GREY, PURPLE = "#2166ac", "#777777", "#762a83"
SMOOTHED = 5  # s, of the throughput

_STYLE: Any = {"axes.grid": True, "grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False}


def over_time(run: Record, title: str, file: Path) -> None:
    """Latency, throughput and the load of the machine over time."""
    samples, footprint = run["samples"], run.get("footprint", [])
    has_server = bool(footprint) and "jvm_memory" in footprint[0]
    panels = 2 + bool(footprint) + has_server
    with _saved(file, 2.4 * panels + 0.6) as figure:
        axes = figure.subplots(panels, 1, sharex=True)
        _latency(axes[0], samples)
        _throughput(axes[1], samples)
        if footprint:
            _cpu(axes[2], footprint)
        if has_server:
            _memory(axes[3], footprint)
        axes[-1].set_xlabel("seconds since the start")
        figure.suptitle(title)


def climb(run: Record, title: str, file: Path) -> None:
    """Latency and throughput of the steps up, where an objective failed, and what was confirmed."""
    report = run["climb"]
    steps, sustained = report["steps"], report["sustained"]
    with _saved(file, 7.5) as figure:
        latency, throughput = figure.subplots(2, 1, sharex=True)
        users = [step["users"] for step in steps]
        for name, colour in PERCENTILES.items():
            latency.plot(users, [max(step[name], 0.1) for step in steps], "o-", color=colour, label=name)
        throughput.plot(users, [step["rps"] for step in steps], "o-", color=BLUE, label="answers a second")
        if not steps[-1]["held"]:
            for axis in (latency, throughput):
                label = f"broke at {users[-1]} users"
                axis.axvline(users[-1], color=GREY, linestyle=":", label=label if axis is latency else None)
        if sustained:
            label = f"confirmed: {sustained['rps']:.0f}/s with {sustained['users']} users"
            throughput.plot(sustained["users"], sustained["rps"], "*", markersize=18, color=PURPLE, label=label)
        latency.set(ylabel="latency of /predict, ms", yscale="log")
        latency.yaxis.set_major_formatter("{x:g}")
        throughput.set(ylabel="requests a second", xlabel="users", ylim=(0, None))
        for axis in (latency, throughput):
            axis.legend(loc="upper left", frameon=False)
        before, after = report["unloaded_before"]["p50"], report["unloaded_after"]["p50"]
        told = f"saturated: {report['saturated']}; p50 unloaded: {before:g} ms before, {after:g} ms after"
        figure.suptitle(f"{title}\n{told}")


def trend(entries: Sequence[history.Entry], flagged: Mapping[history.Kind, bool], file: Path) -> None:
    """Mean latency and throughput of all runs, with a row for each profile, machine and model."""
    groups = history.comparable(entries)
    with _saved(file, 2.6 * len(groups) + 0.4) as figure:
        rows = figure.subplots(len(groups), 2, squeeze=False)
        for (latency, throughput), (key, runs) in zip(rows, groups.items(), strict=True):
            values = [history.values(run) for run in runs]
            labels = [f"{run['date'][5:16].replace('T', ' ')}\n{run['commit'][:7]}" for run in runs]
            for axis, name, unit, colour in (
                (latency, "mean", "mean of /predict, ms", PERCENTILES["p95"]),
                (throughput, "throughput", "/predict a second", BLUE),
            ):
                known = [(place, each[name]) for place, each in enumerate(values) if name in each]
                if not known:
                    axis.set_axis_off()
                    continue
                axis.set(title=", ".join(key), ylabel=unit)
                axis.title.set_size("small")
                axis.set_xticks(range(len(labels)), labels, fontsize="xx-small")
                axis.plot(*zip(*known, strict=True), "o-", color=colour)
                axis.set_ylim(0, 1.2 * max(value for _, value in known))
                if flagged.get(key):
                    axis.plot(*known[-1], "o", markersize=14, fillstyle="none", color=PERCENTILES["p99"])


@contextmanager
def _saved(file: Path, height: float) -> Iterator[Figure]:
    """A figure in our style, written to the file once it is drawn."""
    with mpl.rc_context(_STYLE):
        figure = Figure((10, height), layout="constrained")
        yield figure
        figure.savefig(file, dpi=110)


def _latency(axis: Axes, samples: Sequence[Any]) -> None:
    name = next((name for name in samples[-1]["endpoints"] if name.startswith(PREDICT)), "total")
    known = [(sample["t"], sample["endpoints"][name]) for sample in samples if name in sample["endpoints"]]
    known = [(t, figures) for t, figures in known if figures["requests"]]
    for percentile, colour in PERCENTILES.items():
        axis.plot([t for t, _ in known], [f[percentile] for _, f in known], color=colour, label=percentile, linewidth=1)
    axis.set(ylabel=f"{name.removeprefix('POST ')}, ms")
    axis.set_ylim(0, 1.2 * axis.get_ylim()[1])
    axis.legend(loc="upper left", ncols=3, frameon=False, fontsize="small")


def _throughput(axis: Axes, samples: Sequence[Any]) -> None:
    times = [sample["t"] for sample in samples]
    rates = [sample["endpoints"]["total"]["rps"] for sample in samples]
    smooth = [sum(part) / len(part) for part in (rates[max(i - SMOOTHED + 1, 0) : i + 1] for i in range(len(rates)))]
    failures = [sample["endpoints"]["total"]["failures"] for sample in samples]
    lines = [*axis.plot(times, smooth, color=BLUE, label="requests a second")]
    if any(failures):
        lines += axis.plot(times, failures, color=PERCENTILES["p99"], label="failures a second")
    axis.set(ylabel="requests a second", ylim=(0, 1.25 * max(smooth)))
    crowd = axis.twinx()
    crowd.grid(visible=False)
    lines += crowd.plot(times, [sample["users"] for sample in samples], color=GREY, linestyle="--", label="users")
    crowd.set(ylabel="users", ylim=(0, 1.25 * max(sample["users"] for sample in samples) + 1))
    crowd.spines["right"].set_visible(True)
    axis.legend(handles=lines, loc="upper left", ncols=3, frameon=False, fontsize="small")


def _cpu(axis: Axes, footprint: Sequence[Mapping[str, float]]) -> None:
    shown = {"server_cpu": ("service", BLUE), "generator_cpu": ("Locust", PURPLE), "machine_cpu": ("all", GREY)}
    for key, (label, colour) in shown.items():
        if key in footprint[0]:
            axis.plot([s["t"] for s in footprint], [s[key] for s in footprint], color=colour, label=label, linewidth=1)
    axis.set(ylabel="CPU, % of a core")
    axis.set_ylim(0, 1.2 * axis.get_ylim()[1])
    axis.legend(loc="upper left", ncols=3, frameon=False, fontsize="small")


def _memory(axis: Axes, footprint: Sequence[Mapping[str, float]]) -> None:
    times = [sample["t"] for sample in footprint]
    lines = [*axis.plot(times, [s["jvm_memory"] for s in footprint], color=BLUE, label="JVM")]
    lines += axis.plot(times, [s["worker_memory"] for s in footprint], color=PURPLE, label="workers")
    axis.set(ylabel="resident memory, MiB")
    axis.set_ylim(0, 1.35 * axis.get_ylim()[1])
    files = axis.twinx()
    files.grid(visible=False)
    lines += files.plot(times, [s["open_files"] for s in footprint], color=GREY, linestyle="--", label="open files")
    files.set(ylabel="open files")
    files.set_ylim(0, 1.35 * files.get_ylim()[1])
    files.spines["right"].set_visible(True)
    axis.legend(handles=lines, loc="upper left", ncols=3, frameon=False, fontsize="small")
