"""The figures of the benchmark as text, for docs/benchmarks.md, and as a chart."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from mnist_torchserve import machine
from mnist_torchserve.markdown import table
from mnist_torchserve.service import java
from .measurement import CONNECTIONS, FASTAPI, FORWARD_SIZES, GATEWAY, OURS, PLAIN, ROWS, UNBATCHED, Measurement


@dataclass(frozen=True)
class Goal:
    """A figure that this project aims to reach."""

    name: str
    values: list[float]  # one for each round
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the median reaches the bound."""
        value = statistics.median(self.values)
        return value >= self.bound if self.at_least else value <= self.bound

    def cells(self) -> list[str]:
        """The cells of its row: name, bound, median with its spread over the rounds, verdict."""
        sign = "≥" if self.at_least else "≤"
        return [self.name, f"{sign} {self.bound:g}", spread(self.values), "met" if self.met else "missed"]


def goals(figures: Measurement) -> list[Goal]:
    """The targets with the measured figures."""
    ours_256 = figures.ratios_of_connections(OURS, 256, 64)
    return [
        Goal("req/s at 64 connections ÷ FastAPI", figures.ratios(OURS, FASTAPI, 64, "throughput"), 10, True),
        Goal("req/s at 64 connections ÷ plain handler", figures.ratios(OURS, PLAIN, 64, "throughput"), 20, True),
        Goal("p99 at 64 connections ÷ FastAPI", figures.ratios(OURS, FASTAPI, 64, "p99"), 0.2, False),
        Goal("p50 at 1 connection ÷ FastAPI", figures.ratios(OURS, FASTAPI, 1, "p50"), 1.5, False),
        Goal("p50 at 1 connection ÷ FastAPI, batching off", figures.ratios(UNBATCHED, FASTAPI, 1, "p50"), 0.6, False),
        Goal("req/s at 256 ÷ at 64 connections", ours_256, 0.95, True),
        Goal("gateway: req/s at 64 connections ÷ without", figures.ratios(GATEWAY, OURS, 64, "throughput"), 0.65, True),
        Goal("gateway: ms added to p50 at 1 connection", figures.differences(GATEWAY, OURS, 1, "p50"), 0.5, False),
        Goal("metrics: req/s at 64 connections ÷ without", figures.metrics, 0.97, True),
        Goal("resident memory, MiB", [figures.memory[OURS] / 2**20], 1024, False),
        Goal("start to first answer, s", [figures.start[OURS]], 10, False),
    ]


def markdown(figures: Measurement, command: str, date: str) -> str:
    """The part of the page that is not written by hand."""
    share = figures.median(OURS, 64, "throughput") / figures.in_process
    parts = [
        f"Measured on {date} by `{command}` on {machine.description()}, with Java {java.version(Path(java.home()))}. "
        "The load generator, wrk with one thread, runs on the same cores. Every payload of a run is a different digit, "
        "with its floats written in full. Figures are medians of the rounds, with the lowest and the highest in "
        "brackets. Each ratio compares figures of the same round.",
        "## Targets",
        table(["", "target", "measured", ""], [goal.cells() for goal in goals(figures)]),
        "## Servers",
        *(f"Connections: {connections}\n\n{_servers(figures, connections)}" for connections in CONNECTIONS),
        "## Start and memory",
        table(
            ["", "start to first answer, s", "resident memory, MiB"],
            [[name, f"{figures.start[name]:.1f}", f"{figures.memory[name] / 2**20:.0f}"] for name in _servers_once()],
        ),
        "## Without a server",
        table(
            ["forward pass, µs", *(f"batch {size}" for size in FORWARD_SIZES)],
            [
                [name, *(f"{figures.forward[name, size] * 1e6:,.0f}" for size in FORWARD_SIZES)]
                for name in dict.fromkeys(name for name, _ in figures.forward)
            ],
        ),
        f"Two processes that only decode and predict reach {figures.in_process:,.0f} images a second. "
        f"At 64 connections, this project serves {share:.0%} of that.",
    ]
    return "\n\n".join(parts) + "\n"


def _servers_once() -> list[str]:
    """The first row of each contestant."""
    return list({row.contestant: row.name for row in reversed(ROWS)}.values())[::-1]


def _servers(figures: Measurement, connections: int) -> str:
    rows = []
    for row in ROWS:
        if (point := figures.points.get((row.name, connections))) is None:
            continue
        seen = [[getattr(result, figure) for result in point.results] for figure in ("throughput", "p50", "p99")]
        errors = sum(result.refused + result.failed for result in point.results)
        ratios = [figures.ratios(row.name, base, connections, "throughput") for base in (FASTAPI, PLAIN)]
        cpu = [seconds * 1e6 for seconds in point.cpu]
        rows.append([row.name, *map(spread, seen), str(errors), *map(spread, [cpu, *ratios])])
    header = ["", "req/s", "p50, ms", "p99, ms", "errors", "CPU, µs a request", "req/s ÷ FastAPI", "÷ plain handler"]
    return table(header, rows)


def spread(values: Sequence[float]) -> str:
    """The median, with the lowest and the highest value in brackets if there are several values."""
    median = _number(statistics.median(values))
    return median if len(values) == 1 else f"{median} ({_number(min(values))}–{_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def draw(figures: Measurement, path: Path) -> None:
    """Throughput and p99 by connections, for the two baselines and this project."""
    figure = Figure((10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, colour in ((PLAIN, "#b0b0b0"), (FASTAPI, "#e08a3c"), (OURS, "#1f6fb4")):
        for axes, what in ((left, "throughput"), (right, "p99")):
            values = [figures.median(name, connections, what) for connections in CONNECTIONS]
            axes.plot(CONNECTIONS, values, "o-", color=colour, label=name)
    for axes, title in ((left, "Requests per second"), (right, "99th percentile, ms")):
        axes.set(title=title, xscale="log", yscale="log", xlabel="connections", xticks=CONNECTIONS)
        axes.set_xticklabels([str(connections) for connections in CONNECTIONS])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    left.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=120)
