"""The state of the service for a terminal: an interval of its metrics as tables and bars."""

import time
from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from .scrape import Interval

_DURATION = "envoy_gateway_request_duration_microseconds"
_REQUESTS = "envoy_gateway_requests_total"
_BAR = 16  # characters
_SILENT = 5.0  # s; a worker reports every second


def render(interval: Interval, problems: Sequence[str], java: str | None, seconds: float) -> RenderableType:
    """All panels, below a line that says whether the service is healthy."""
    verdict = Text("● healthy", "bold green")
    if problems:
        verdict = Text("\n".join(f"● unhealthy: {problem}" for problem in problems), "bold red")
    panels = [_gateway(interval)] if interval.after.samples("envoy_cluster_membership_total") else []
    if interval.after.samples("classifier_worker_report_timestamp_seconds"):
        panels += [_torchserve(interval, java), _classes(interval), _confidence(interval)]
    return Group(verdict, Columns(panels), Text(f"Rates, times and shares are for the last {seconds:g} s.", "dim"))


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
        {
            "requests": _number(interval.rate(_REQUESTS, route="predict"), "/s"),
            "errors, 5xx": _percent(share("5")),
            "refusals, 4xx": _percent(share("4")),
            "p50": quantile(0.5),
            "p95": quantile(0.95),
            "p99": quantile(0.99),
            "at the nodes": _number(after.sum("envoy_cluster_upstream_rq_active", envoy_cluster_name="inference")),
            "waiting": _number(after.sum("envoy_cluster_upstream_rq_pending_active", envoy_cluster_name="inference")),
            "nodes healthy": f"{_number(nodes[0])} of {_number(nodes[1])}",
            "memory": _mebibytes(after.sum("envoy_server_memory_physical_size")),
        },
    )


def _torchserve(interval: Interval, java: str | None) -> Panel:
    after = interval.after
    reports = [sample.value for sample in after.samples("classifier_worker_report_timestamp_seconds")]
    ready = sum(time.time() - report < _SILENT for report in reports)
    queue = interval.ratio("ts_queue_latency_microseconds", "ts_inference_requests_total")
    refusals = {reason: n for reason, n in interval.increases("classifier_refusals_total", "reason").items() if n}
    return _panel(
        "TorchServe",
        {
            "predictions": _number(interval.rate("classifier_predictions_total"), "/s"),
            "from the cache": _number(interval.rate("classifier_cache_hits_total"), "/s"),
            "refusals": ", ".join(f"{n:g} {reason}" for reason, n in refusals.items()) or "none",
            "queue": _number(queue and queue / 1000, "ms"),
            "images a batch": _number(interval.mean("classifier_batch_size")),
            "decode": _milliseconds(interval.mean("classifier_decode_seconds")),
            "inference": _milliseconds(interval.mean("classifier_inference_seconds")),
            "workers alive": f"{ready} of {len(reports)}",
            "JVM's memory": _mebibytes(after.sum("classifier_frontend_resident_memory_bytes")),
            "workers' memory": _mebibytes(after.sum("classifier_worker_resident_memory_bytes")),
            "Java": java or "–",
        },
    )


def _classes(interval: Interval) -> Panel:
    counts = interval.increases("classifier_predictions_total", "class")
    return _panel("Predictions", _bars({number: counts[number] for number in sorted(counts, key=int)}))


def _confidence(interval: Interval) -> Panel:
    cumulative = interval.increases("classifier_confidence_bucket", "le")
    bounds = sorted(cumulative, key=float)
    counts, below, lower = {}, 0.0, "0"
    for bound in bounds:
        upper = "1" if bound == "+Inf" else bound
        counts[f"{lower} – {upper}"] = cumulative[bound] - below
        below, lower = cumulative[bound], upper
    return _panel(f"Confidence, mean {_number(interval.mean('classifier_confidence'))}", _bars(counts))


def _bars(counts: dict[str, float]) -> dict[str, str]:
    """Each count as its share and a bar; the greatest count has the longest bar."""
    total, greatest = sum(counts.values()) or 1, max(counts.values(), default=0) or 1
    # The share comes first, so that a narrow terminal does not cut it off.
    return {name: f"{count / total:>4.0%} {'█' * round(count / greatest * _BAR)}" for name, count in counts.items()}


def _panel(title: str, rows: dict[str, str]) -> Panel:
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(Text(name, "cyan"), value)
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
