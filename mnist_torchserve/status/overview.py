"""The state of the service for a terminal: an interval of its metrics as tables and bars."""

import time
from collections.abc import Iterable, Sequence

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from .observation import Observation
from .scrape import Interval

_DURATION = "envoy_gateway_request_duration_microseconds"
_REQUESTS = "envoy_gateway_requests_total"
_REPORT = "classifier_worker_report_timestamp_seconds"
_MEMORY = "classifier_worker_resident_memory_bytes"
_BAR = 16  # characters
_NAME = 20  # characters of a name, at most
_CLASSES = 12  # of more, only the most frequent have a bar
_SILENT = 5.0  # s; a worker reports every second

_Rows = Iterable[tuple[str, str]]


def render(before: Observation, after: Observation, seconds: float) -> RenderableType:
    """All panels, below a line that says whether the service is healthy. Several models have a row of panels each."""
    interval = Interval(before.metrics, after.metrics)
    verdict = Text("● healthy", "bold green")
    if after.problems:
        verdict = Text("\n".join(f"● unhealthy: {problem}" for problem in after.problems), "bold red")
    rows = [[_gateway(interval)] if interval.after.samples("envoy_cluster_membership_total") else []]
    server = _server(interval, after.java)
    reporting = [model for model in after.models if interval.after.samples(_REPORT, model=model)]
    if len(reporting) > 1:
        rows[0].append(_panel("TorchServe", server))
    for model in reporting:
        figures, labels = _figures(interval, model), after.models[model]
        if len(reporting) == 1:
            rows[0] += [_panel("TorchServe", [*figures, *server]), *_distributions(interval, model, labels)]
        else:
            memory = ("workers' memory", _mebibytes(interval.after.sum(_MEMORY, model=model)))
            distributions = _distributions(interval, model, labels, of=f" of {model}")
            rows.append([_panel(f"Model {model}", [*figures, memory]), *distributions])
    note = Text(f"Rates, times and shares are for the last {seconds:g} s.", "dim")
    return Group(verdict, *(Columns(panels) for panels in rows), note)


def _gateway(interval: Interval) -> Panel:
    after = interval.after
    answers = interval.increases(_REQUESTS, "status", route="predict")
    total = sum(answers.values())

    def share(first: str) -> float | None:
        return sum(count for status, count in answers.items() if status[0] == first) / total if total else None

    def quantile(q: float) -> str:
        micros = interval.quantile(_DURATION, q, route="predict")
        return _number(micros and micros / 1000, "ms")

    nodes = [
        after.sum(f"envoy_cluster_membership_{which}", envoy_cluster_name="inference") for which in ("healthy", "total")
    ]
    return _panel(
        "Gateway, POST /predict",
        [
            ("requests", _number(interval.rate(_REQUESTS, route="predict"), "/s")),
            ("errors, 5xx", _percent(share("5"))),
            ("refusals, 4xx", _percent(share("4"))),
            ("p50", quantile(0.5)),
            ("p95", quantile(0.95)),
            ("p99", quantile(0.99)),
            ("at the nodes", _number(after.sum("envoy_cluster_upstream_rq_active", envoy_cluster_name="inference"))),
            ("waiting", _number(after.sum("envoy_cluster_upstream_rq_pending_active", envoy_cluster_name="inference"))),
            ("nodes healthy", f"{_number(nodes[0])} of {_number(nodes[1])}"),
            ("memory", _mebibytes(after.sum("envoy_server_memory_physical_size"))),
        ],
    )


def _figures(interval: Interval, model: str) -> _Rows:
    reports = [sample.value for sample in interval.after.samples(_REPORT, model=model)]
    ready = sum(time.time() - report < _SILENT for report in reports)
    queue = interval.ratio("ts_queue_latency_microseconds", "ts_inference_requests_total", model_name=model)
    refusals = interval.increases("classifier_refusals_total", "reason", model=model)
    return [
        ("predictions", _number(interval.rate("classifier_predictions_total", model=model), "/s")),
        ("from the cache", _number(interval.rate("classifier_cache_hits_total", model=model), "/s")),
        ("refusals", ", ".join(f"{n:g} {reason}" for reason, n in refusals.items() if n) or "none"),
        ("queue", _number(queue and queue / 1000, "ms")),
        ("images a batch", _number(interval.mean("classifier_batch_size", model=model))),
        ("decode", _milliseconds(interval.mean("classifier_decode_seconds", model=model))),
        ("inference", _milliseconds(interval.mean("classifier_inference_seconds", model=model))),
        ("workers alive", f"{ready} of {len(reports)}"),
    ]


def _server(interval: Interval, java: str | None) -> _Rows:
    """What the models share."""
    return [
        ("JVM's memory", _mebibytes(interval.after.sum("classifier_frontend_resident_memory_bytes"))),
        ("workers' memory", _mebibytes(interval.after.sum(_MEMORY))),
        ("Java", java or "–"),
    ]


def _distributions(interval: Interval, model: str, labels: Sequence[str], of: str = "") -> list[Panel]:
    """Its predictions by class and by confidence, with `of` in their titles."""
    counts = interval.increases("classifier_predictions_total", "class", model=model)
    classes = sorted(counts, key=int)
    if len(classes) > _CLASSES:
        classes.sort(key=lambda number: -counts[number])
        classes = classes[: _CLASSES - 1]
    names = [f"{number} {labels[int(number)]}" if labels else number for number in classes]
    total = sum(counts.values())
    bars = _bars(names, [counts[number] for number in classes], total)
    if others := len(counts) - len(classes):
        share = 1 - sum(counts[number] for number in classes) / total if total else 0
        bars.append((f"{others} others", f"{share:>4.0%}"))

    cumulative = interval.increases("classifier_confidence_bucket", "le", model=model)
    bounds = sorted(cumulative, key=float)
    uppers = ["1" if bound == "+Inf" else bound for bound in bounds]
    up_to = [cumulative[bound] for bound in bounds]
    ranges = [f"{lower} – {upper}" for lower, upper in zip(["0", *uppers], uppers, strict=False)]
    within = [count - below for count, below in zip(up_to, [0.0, *up_to], strict=False)]
    mean = _number(interval.mean("classifier_confidence", model=model))
    return [
        _panel(f"Predictions{of}", bars),
        _panel(f"Confidence{of}, mean {mean}", _bars(ranges, within, sum(within))),
    ]


def _bars(names: Sequence[str], counts: Sequence[float], total: float) -> list[tuple[str, str]]:
    """Each count as its share of the total and a bar; the greatest count has the longest bar."""
    whole, greatest = total or 1, max(counts, default=0) or 1
    # The share comes first, so that a narrow terminal does not cut it off.
    return [
        (name, f"{count / whole:>4.0%} {'█' * round(count / greatest * _BAR)}")
        for name, count in zip(names, counts, strict=True)
    ]


def _panel(title: str, rows: _Rows) -> Panel:
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        shown = Text("".join(letter if letter.isprintable() else " " for letter in name), "cyan")
        shown.truncate(_NAME, overflow="ellipsis")
        table.add_row(shown, value)
    return Panel(table, title=title, title_align="left")


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return "–"
    return f"{value:,.0f} {unit}".rstrip() if value >= 100 or value == int(value) else f"{value:.3g} {unit}".rstrip()


def _milliseconds(seconds: float | None) -> str:
    return _number(None if seconds is None else seconds * 1000, "ms")


def _mebibytes(size: float | None) -> str:
    return _number(None if size is None else round(size / 2**20), "MiB")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
