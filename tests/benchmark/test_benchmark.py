"""The benchmark: wrk against a server that answers as told, and the report of made figures."""

import json
import re
from pathlib import Path

import pytest
from mnist_torchserve.benchmark import measurement, report, wrk
from mnist_torchserve.benchmark.measurement import FASTAPI, OURS, PLAIN, ROWS, Measurement, Point
from mnist_torchserve.contract import blank
from tests.support import programs, stub


def test_wrk_sends_every_payload_and_counts_refusals(tmp_path: Path) -> None:
    programs.installed("wrk")
    bodies = [json.dumps(blank(n)).encode() for n in range(50)]
    received: set[bytes] = set()

    def refuse_every_fifth(_: str, body: bytes) -> tuple[int, None]:
        received.add(body)
        return 422 if bodies.index(body) % 5 == 0 else 200, None

    wrk.write_payloads(tmp_path / "payloads", bodies)
    with stub.running(refuse_every_fifth) as service:
        result = wrk.run(service.url, tmp_path / "payloads", "application/json", connections=2, seconds=1)
    assert received == set(bodies)
    assert result.refused / result.requests == pytest.approx(0.2, abs=0.02)
    assert result.failed == 0
    assert 0 < result.p50 <= result.p99


def figures(ours: float, fastapi: float) -> Measurement:
    """A run of two rounds in which two servers have these throughputs, and the rest 100."""
    points = {}
    for row in ROWS:
        for connections in row.connections:
            rate = {OURS: ours, FASTAPI: fastapi}.get(row.name, 100.0)
            results = [wrk.Result(int(rate * drift), 1.0, 1.0, 2.0, 0, 0) for drift in (1, 2)]
            points[row.name, connections] = Point(results, [0.001, 0.002])
    names = {row.name: 1.0 for row in ROWS}
    forward = {("onnxruntime-cpu", size): size * 1e-5 for size in measurement.FORWARD_SIZES}
    return Measurement(points, names, dict.fromkeys(names, 2**29), in_process=50_000, forward=forward, metrics=[0.99])


def test_ratios_are_of_figures_of_the_same_round() -> None:
    assert figures(12_000, 1000).ratios(OURS, FASTAPI, 64, "throughput") == [12, 12]


@pytest.mark.parametrize(("ours", "met"), [(12_000, True), (9_000, False)])
def test_targets_are_met_or_missed(ours: float, met: bool) -> None:
    goal = report.goals(figures(ours, 1000))[0]
    assert goal.met is met
    assert goal.cells()[-1] == ("met" if met else "missed")


def test_page_shows_every_server_at_every_load() -> None:
    page = report.markdown(figures(12_000, 1000), "scripts/bench", "2026-01-31")
    for connections in measurement.CONNECTIONS:
        section = page.split(f"Connections: {connections}\n")[1].split("Connections:")[0]
        for row in ROWS:
            shown = re.search(rf"^\| {re.escape(row.name)} +\|", section.split("## ")[0], re.MULTILINE)
            assert bool(shown) is (connections in row.connections)
    assert re.search(rf"^\| {PLAIN} +\| +1\.0 \| +512 \|$", page, re.MULTILINE)
