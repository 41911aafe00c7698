"""Sums up what a worker has done, and passes it to TorchServe once a second.

batch ── observe ──> stored ── each second, in a thread of its own ──> sums ──> lines of the log ──> JVM's /metrics

A metric reaches TorchServe as a line of the worker's log, which costs both sides some 10 µs. One line for each
observation would cost more than the prediction. TorchServe's own histograms need one line for each observation, and
have fixed buckets. So a histogram here consists of counters, with the names and the label that Prometheus uses for
histograms: `_bucket` with `le`, `_sum`, `_count`.

For the JVM, metrics.yaml lists all of these metrics too, with their labels in the same order. This module depends on
nothing of TorchServe but the format of a metric's line.
"""

import atexit
import logging
import re
import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray
from .cache import ResponseCache
from .types import REASONS, Model, Probabilities, Refusals

CONFIDENCE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
BATCH_SIZE = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1)

_LOGGER = logging.getLogger(__name__)
_LOGGER.setLevel(logging.INFO)


class Series(NamedTuple):
    """A metric with its labels, each as `name:value`."""

    name: str
    labels: tuple[str, ...] = ()


class BatchRecord(NamedTuple):
    """The results for a batch of n images."""

    probabilities: Probabilities  # (n, K); those of a refused image mean nothing
    refusals: Refusals  # by row
    decode: float  # s
    inference: float  # s


class _BatchCounts(NamedTuple):
    """What is to be counted of a batch. It contains no refusal, since its traceback holds the request's body."""

    size: int
    probabilities: Probabilities  # of the answered images
    refusals: Sequence[Series]
    decode: float  # s
    inference: float  # s


class Reporter:
    """The metrics of one worker.

    Args:
        model: the model that the labels name.
        classes: K, of the model.
        cache: the cache of responses, if there is one.
    """

    def __init__(self, model: Model, classes: int, cache: ResponseCache | None) -> None:
        self._model = model
        self._classes = classes
        self._cache = cache
        self._hits = 0  # of the cache, as reported so far
        self._batches: deque[_BatchCounts] = deque()

    def observe(self, batch: BatchRecord) -> None:
        """Count a batch. It is only stored here, since its clients still wait."""
        answered, refusals = batch.probabilities, []
        if batch.refusals:
            answered = np.delete(answered, list(batch.refusals), axis=0)
            refusals = [_refusal(refusal.status, refusal.reason) for refusal in batch.refusals.values()]
        self._batches.append(_BatchCounts(len(batch.probabilities), answered, refusals, batch.decode, batch.inference))

    def start(self, period: float) -> None:
        """Report every `period` s while the worker lives, and once more when it ends."""
        self._write(_zeros(self._classes))  # rate() does not see an event with which a series begins
        threading.Thread(target=self._report_forever, args=(period,), daemon=True).start()
        atexit.register(self.report)

    def report(self) -> None:
        """Write the counts since the last report, and that this worker lives."""
        batches = []
        while self._batches:  # other threads may add to it in the meantime
            batches.append(self._batches.popleft())
        sums = _sums(batches)
        if self._cache:
            sums[Series("classifier_cache_hits_total")] = (hits := self._cache.hits) - self._hits
            self._hits = hits
        self._write({series: value for series, value in sums.items() if value})

    def _report_forever(self, period: float) -> None:
        while True:
            time.sleep(period)
            self.report()

    def _write(self, sums: Mapping[Series, float]) -> None:
        end = f"|#hostname:{socket.gethostname()},{int(time.time())}"
        labels = f"model_version:{self._model.version}", f"model:{self._model.name}"
        counters = [_line(series, value, "COUNTER", *labels) + end for series, value in sums.items()]
        gauges = [_line(series, value, "GAUGE") + end for series, value in _vitals(labels[1]).items()]
        # One message of many lines: one write, and one wake-up of the JVM.
        _LOGGER.info("\n".join(counters + gauges))


def _line(series: Series, value: float, kind: str, *more_labels: str) -> str:
    labels = ",".join([*series.labels, *more_labels])
    return f"[METRICS]{series.name}.Count:{value}|#{labels}|#type:{kind}"


def _sums(batches: Sequence[_BatchCounts]) -> Counter[Series]:
    """Return what the batches add to every counter."""
    sums: Counter[Series] = Counter()
    if not batches:
        return sums
    probabilities = np.concatenate([batch.probabilities for batch in batches])  # (n, K)
    for number, count in enumerate(
        np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]).tolist()
    ):
        sums[Series("classifier_predictions_total", (f"class:{number}",))] = count
    for batch in batches:
        sums.update(batch.refusals)
    sums.update(_histogram("classifier_confidence", CONFIDENCE, probabilities.max(axis=1)))
    sums.update(_histogram("classifier_batch_size", BATCH_SIZE, [batch.size for batch in batches]))
    sums.update(_histogram("classifier_decode_seconds", SECONDS, [batch.decode for batch in batches]))
    sums.update(_histogram("classifier_inference_seconds", SECONDS, [batch.inference for batch in batches]))
    return sums


def _zeros(classes: int) -> dict[Series, float]:
    """Return every series that is known at the start."""
    nothing = _BatchCounts(0, np.zeros((1, classes), np.float32), [], 0, 0)
    refusals = [_refusal(status, reason) for reason, status in REASONS.items()]
    return dict.fromkeys([*_sums([nothing]), *refusals, Series("classifier_cache_hits_total")], 0)


def _refusal(status: int, reason: str) -> Series:
    return Series("classifier_refusals_total", (f"status:{int(status)}", f"reason:{reason}"))


def _histogram(
    name: str, bounds: tuple[float, ...], values: Sequence[float] | NDArray[np.float32]
) -> dict[Series, float]:
    """Count the values up to each bound, and compute their sum and number."""
    observed = np.asarray(values, np.float64)
    counts = np.bincount(np.searchsorted(bounds, observed), minlength=len(bounds) + 1).cumsum().tolist()
    buckets = zip([*map(str, bounds), "+Inf"], counts, strict=True)
    return {
        **{Series(f"{name}_bucket", (f"le:{bound}",)): count for bound, count in buckets},
        Series(f"{name}_sum"): float(observed.sum()),
        Series(f"{name}_count"): observed.size,
    }


def _vitals(model: str) -> dict[Series, float]:
    """Report that this worker lives, and how much memory it and TorchServe's JVM take."""
    process = psutil.Process()
    # The number of the socket identifies the worker: a process that replaces it has the same number.
    number = re.search(r"sock-name \S+?(\d+)( |$)", " ".join(sys.argv))
    worker = (f"worker:{number[1] if number else process.pid}", model)
    vitals = {
        Series("classifier_worker_report_timestamp_seconds", worker): round(time.time(), 3),
        Series("classifier_worker_resident_memory_bytes", worker): process.memory_info().rss,
    }
    if (frontend := process.parent()) is not None:
        vitals[Series("classifier_frontend_resident_memory_bytes")] = frontend.memory_info().rss
    return vitals
