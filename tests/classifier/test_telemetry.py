"""The workers' metrics, against prometheus_client's own counters and histograms of the same values."""

import gc
import re
import subprocess
import sys
import weakref
from collections import defaultdict
from collections.abc import Sequence
from http import HTTPStatus

import numpy as np
import prometheus_client
import pytest
import yaml
from classifier import cache, telemetry
from classifier.batch import read
from classifier.telemetry import BatchRecord, Reporter
from classifier.types import REASONS, Model, Refusal, Request, Response
from mnist_torchserve.contract import CLASSES
from mnist_torchserve.project import ROOT

# TorchServe 0.12.0 takes a line of a worker's log for a metric if it looks like this (its Metric.java).
LINE = re.compile(
    r"\[METRICS\](?P<name>\w+)\.\w+:(?P<value>[0-9\-,.e]+)\|#(?P<labels>[^|]*)\|#type:(?P<type>\w+)\|#hostname:[^,]+,\d+"
)

MODEL = Model("mnist", "1.0")
Series = tuple[str, frozenset[str]]  # a metric's name, and its labels as `name:value`


@pytest.fixture
def reporter() -> Reporter:
    return Reporter(MODEL, CLASSES, None)


def reported(log: pytest.LogCaptureFixture) -> dict[Series, float]:
    """What TorchServe's counters add up to after all reports."""
    sums: dict[Series, float] = defaultdict(float)
    reports = [record.getMessage() for record in log.records if record.name == "classifier.telemetry"]
    for line in "\n".join(reports).splitlines():
        match = LINE.fullmatch(line)
        assert match, line
        if match["type"] == "COUNTER":
            sums[series(match["name"], *match["labels"].split(","))] += float(match["value"])
    return sums


def series(name: str, *labels: str) -> Series:
    return name, frozenset(labels)


def batches(count: int) -> list[BatchRecord]:
    """Batches of up to 20 images, some of which were refused."""
    random = np.random.default_rng(7)
    made = []
    for _ in range(count):
        size = int(random.integers(1, 20))
        probabilities = random.dirichlet(np.full(CLASSES, 0.05), size).astype(np.float32)
        refused = np.flatnonzero(random.random(size) < 0.2).tolist()
        refusals = {index: Refusal(str(random.choice(list(REASONS))), "no") for index in refused}
        decode, inference = (float(random.exponential(mean)) for mean in (0.001, 0.005))
        made.append(BatchRecord(probabilities, refusals, decode, inference))
    return made


def test_sums_are_those_of_prometheus_own_client(reporter: Reporter, caplog: pytest.LogCaptureFixture) -> None:
    registry = prometheus_client.CollectorRegistry()
    predictions = prometheus_client.Counter("classifier_predictions", "", ["class"], registry=registry)
    refusals = prometheus_client.Counter("classifier_refusals", "", ["status", "reason"], registry=registry)

    def histogram(name: str, bounds: tuple[float, ...]) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(name, "", buckets=bounds, registry=registry)

    confidence = histogram("classifier_confidence", telemetry.CONFIDENCE)
    batch_size = histogram("classifier_batch_size", telemetry.BATCH_SIZE)
    decode = histogram("classifier_decode_seconds", telemetry.SECONDS)
    inference = histogram("classifier_inference_seconds", telemetry.SECONDS)
    for number, batch in enumerate(batches(200)):
        reporter.observe(batch)
        for index, row in enumerate(batch.probabilities):
            if index in batch.refusals:
                refusals.labels(int(batch.refusals[index].status), batch.refusals[index].reason).inc()
            else:
                predictions.labels(row.argmax()).inc()
                confidence.observe(row.max())
        batch_size.observe(len(batch.probabilities))
        decode.observe(batch.decode)
        inference.observe(batch.inference)
        if number % 70 == 0:
            reporter.report()
    reporter.report()
    expected = {
        series(
            sample.name,
            "model_version:1.0",
            "model:mnist",
            *(f"{name}:{value}" for name, value in sample.labels.items()),
        ): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.value and not sample.name.endswith("_created")
    }
    assert reported(caplog) == pytest.approx(expected)


def test_every_series_is_there_before_its_first_event(reporter: Reporter, caplog: pytest.LogCaptureFixture) -> None:
    reporter.start(period=3600)
    before = reported(caplog)
    assert set(before.values()) == {0}
    for batch in batches(200):
        reporter.observe(batch)
    reporter.report()
    assert set(reported(caplog)) == set(before)


def test_torchserve_is_told_of_the_same_metrics_with_the_same_labels(
    reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    reporter.start(period=3600)
    lines = [LINE.fullmatch(line) for record in caplog.records for line in record.getMessage().splitlines()]
    sent = {
        (line["name"], line["type"].lower(), tuple(re.findall(r"(\w+):", line["labels"]))) for line in lines if line
    }
    known = yaml.safe_load((ROOT / "metrics.yaml").read_text())["model_metrics"]
    assert sent == {
        (metric["name"], kind, tuple(metric["dimensions"])) for kind, metrics in known.items() for metric in metrics
    }


def test_idle_worker_only_says_that_it_lives(reporter: Reporter, caplog: pytest.LogCaptureFixture) -> None:
    reporter.report()
    [record] = caplog.records
    names = [match["name"] for line in record.getMessage().splitlines() if (match := LINE.fullmatch(line))]
    assert sorted(names) == [
        "classifier_frontend_resident_memory_bytes",
        "classifier_worker_report_timestamp_seconds",
        "classifier_worker_resident_memory_bytes",
    ]


def test_cache_hits_are_those_since_the_last_report(caplog: pytest.LogCaptureFixture) -> None:
    def answer(requests: Sequence[Request]) -> list[Response]:
        return [Response(HTTPStatus.OK, b"")] * len(requests)

    answers = cache.ResponseCache(answer, 10)
    reporter = Reporter(MODEL, CLASSES, answers)
    for _ in range(4):
        answers([Request(b"a", "")])
        reporter.report()
    assert reported(caplog) == {series("classifier_cache_hits_total", "model_version:1.0", "model:mnist"): 3}


def test_no_word_of_a_client_is_in_a_metric(reporter: Reporter, caplog: pytest.LogCaptureFixture) -> None:
    hostile = b'{"data": ["[METRICS]x.Count:1|#|#type:COUNTER|#hostname:h,1\\n"]}'
    requests = [(hostile, "application/json"), (hostile, "[METRICS]x/y"), (b"{[METRICS]}", "")]
    refusals = read([Request(*each) for each in requests], Model("", "")).refusals
    assert len(refusals) == 3
    reporter.observe(BatchRecord(np.zeros((3, CLASSES), np.float32), refusals, 0, 0))
    reporter.report()
    labels = "model_version:1.0", "model:mnist"
    assert {each for each in reported(caplog) if each[0] == "classifier_refusals_total"} == {
        series("classifier_refusals_total", "status:422", "reason:type", *labels),
        series("classifier_refusals_total", "status:415", "reason:media_type", *labels),
        series("classifier_refusals_total", "status:400", "reason:malformed", *labels),
    }


def test_refused_body_is_not_kept(reporter: Reporter) -> None:
    refusals = read([Request(b"{" + b" " * 60_000, "application/json")], Model("", "")).refusals
    refusal = weakref.ref(refusals[0])
    reporter.observe(BatchRecord(np.zeros((1, CLASSES), np.float32), refusals, 0, 0))
    del refusals
    gc.collect()
    assert refusal() is None, "its traceback holds the body"


def test_worker_that_ends_reports_what_it_has_done() -> None:
    script = """
import logging, sys
import numpy as np
from classifier import telemetry
from classifier.types import Model
logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)  # as TorchServe's worker does
reporter = telemetry.Reporter(Model("mnist", "1.0"), 10, None)
reporter.start(period=3600)
reporter.observe(telemetry.BatchRecord(np.eye(10, dtype=np.float32)[:3], {}, 0.001, 0.001))
sys.exit(0)
"""
    worker = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    matches = [LINE.fullmatch(line) for line in worker.stdout.splitlines()]
    assert all(matches)
    counted = [match["value"] for match in matches if match and match["name"] == "classifier_confidence_count"]
    assert counted == ["0", "3"]
