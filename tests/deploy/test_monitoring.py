"""What Prometheus makes of the service: its rules, the metrics that they and the dashboard ask for, a real alert."""

import contextlib
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families
from classifier.types import REASONS
from mnist_torchserve.contract import PIXELS
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.loadtest import objectives
from mnist_torchserve.ports import free_ports
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import TorchServe
from mnist_torchserve.waiting import wait_until
from tests.support import programs
from tests.support.fixtures import MakeGateway, MakeServer

FOLDER = ROOT / "deploy" / "monitoring"
RULES = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
ALERTS = [rule for group in RULES for rule in group["rules"] if "alert" in rule]
PANELS = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
TIMEOUT = 40  # s


@pytest.mark.parametrize("name", ["prometheus.yml", "compose.yml"])
def test_configuration_is_valid(name: str) -> None:
    promtool = programs.installed("promtool", "prometheus")
    programs.assert_content(promtool, "check", "config", FOLDER / name)


def test_every_alert_fires_and_is_silent() -> None:
    asked = (FOLDER / "rules_test.yml").read_text()
    assert {alert["alert"] for alert in ALERTS} == set(re.findall(r'alertname="(\w+)"', asked))
    promtool = programs.installed("promtool", "prometheus")
    programs.assert_content(promtool, "test", "rules", "rules_test.yml", cwd=FOLDER)


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    for alert in ALERTS:
        assert alert["labels"]["severity"] in ("critical", "warning")
        for text in (alert["annotations"]["summary"], alert["annotations"]["action"]):
            assert re.fullmatch(r"\S.*\.", text), alert["alert"]


def test_alert_for_one_model_names_it() -> None:
    for alert in ALERTS:
        if re.search(r"\b(instance_)?model:", alert["expr"]):
            assert re.search(r"\$labels\.model\b", alert["annotations"]["summary"]), alert["alert"]


def test_rules_and_dashboard_are_for_any_model() -> None:
    former = [group for group in RULES if group["name"] == "former names"]
    assert "mnist" not in json.dumps([group for group in RULES if group not in former]).replace("mnist_torchserve", "")
    for panel in PANELS:
        for target in panel["targets"]:
            by_model = re.findall(r"\b(?:classifier_(?!frontend)\w+|(?:instance_)?model:\w+:\w+)", target["expr"])
            assert target["expr"].count('{model=~"$model"}') == len(by_model), target["expr"]


def test_thresholds_are_the_objectives() -> None:
    ours = objectives.load()
    p99 = ours["seed"].endpoints["POST /predict"].p99
    assert p99 is not None
    expected = {
        "predict_p99_seconds": p99 / 1000,
        "error_ratio": ours.alerts.error_ratio,
        "refusal_ratio": ours.alerts.refusal_ratio,
        "queue_seconds": ours.alerts.queue / 1000,
        "confidence": ours.versions.confidence,
    }
    [group] = [group for group in RULES if group["name"] == "objectives"]
    assert {rule["record"]: rule["expr"] for rule in group["rules"]} == {
        f"service:{name}:objective": f"vector({value:g})" for name, value in expected.items()
    }
    for name in expected:
        assert any(f"service:{name}:objective)" in alert["expr"] for alert in ALERTS), f"nobody is called for {name}"


class Monitored:
    """The whole service, with clients that send good and bad payloads all the time."""

    def __init__(self, server: TorchServe, gateway: Gateway) -> None:
        self.server = server
        self.gateway = gateway
        self._done = threading.Event()
        self._clients = threading.Thread(target=self._send)

    @contextmanager
    def asked(self) -> Iterator[None]:
        self._clients.start()
        try:
            yield
        finally:
            self._done.set()
            self._clients.join()

    def _send(self) -> None:
        bodies = [json.dumps({"data": [0.5] * size}) for size in (PIXELS, PIXELS - 1)] + [""]
        number = 0
        with self.gateway.session() as session:
            while not self._done.wait(0.02):
                number += 1
                headers = {"Content-Type": "application/json"}
                session.post(self.gateway.predict_url, bodies[number % 3], headers=headers, timeout=TIMEOUT)

    def scrape(self) -> dict[str, str]:
        """The types of all metrics by name; a histogram made of counters is one."""
        types = {}
        for url in (self.server.metrics_url, self.gateway.metrics_url):
            answer = requests.get(f"{url}/metrics", timeout=TIMEOUT)
            answer.raise_for_status()
            for line in re.findall(r"^# TYPE (\S+) (\S+)$", answer.text, re.MULTILINE):
                types[line[0]] = line[1]
            list(text_string_to_metric_families(answer.text))  # raises what it cannot parse
        for name in [name.removesuffix("_bucket") for name in types if name.endswith("_bucket")]:
            for part in ("_bucket", "_sum", "_count"):
                assert types.pop(name + part) == "counter"
            types[name] = "histogram"
        return types


@pytest.fixture(scope="module")
def service(make_server: MakeServer, make_gateway: MakeGateway) -> Iterator[Monitored]:
    with make_server().running() as server, make_gateway(server).running() as gateway:
        service = Monitored(server, gateway)
        with service.asked():
            yield service


def test_documented_metrics_are_those_of_a_scrape(service: Monitored) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    documented = dict(re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|", page, re.MULTILINE))
    wait_until(lambda: "envoy_gateway_request_duration_microseconds" in service.scrape(), TIMEOUT)
    assert service.scrape() == documented


def test_reasons_of_refusals_are_documented() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    [said] = re.findall(r"^Reasons: (.*?)\. ", page, re.MULTILINE | re.DOTALL)
    found = {
        (reason, int(status))
        for names, status in re.findall(r"([^()]+)\((\d+)\)", said)
        for reason in re.findall(r"`(\w+)`", names)
    }
    assert found == {(reason, int(status)) for reason, status in REASONS.items()}


def test_metrics_page_of_the_gateway_is_all_that_its_port_shows(service: Monitored) -> None:
    url = service.gateway.metrics_url
    for path in ("/", "/stats", "/stats/prometheus", "/config_dump", "/certs", "/metrics/", "/metrics/../config_dump"):
        assert requests.get(url + path, timeout=TIMEOUT).status_code == 404, path
    for method in ("POST", "PUT", "DELETE"):
        assert requests.request(method, f"{url}/metrics", timeout=TIMEOUT).status_code == 404
    assert requests.post(f"{url}/quitquitquit", timeout=TIMEOUT).status_code == 404
    for query in ("filter=.*", "&filter=.*", "format=json"):
        assert requests.get(f"{url}/metrics?{query}", timeout=TIMEOUT).status_code == 404


class Prometheus:
    """A real Prometheus that watches a service, each wait of our configuration shortened to about a second."""

    def __init__(self, home: Path, service: Monitored) -> None:
        config = (FOLDER / "prometheus.yml").read_text()
        for usual, ours in (("127.0.0.1:8082", service.server), ("127.0.0.1:8001", service.gateway)):
            assert config.count(usual) == 1
            config = config.replace(usual, ours.metrics_url.removeprefix("http://"))
        (home / "prometheus.yml").write_text(config.replace("_interval: 5s", "_interval: 500ms"))
        rules = re.sub(r"for: \d+[sm]$", "for: 1s", (FOLDER / "rules.yml").read_text(), flags=re.MULTILINE)
        (home / "rules.yml").write_text(rules.replace("[30s]", "[4s]").replace("[1m]", "[10s]"))
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}/api/v1"
        self._command = [programs.installed("prometheus"), f"--config.file={home}/prometheus.yml", "--log.level=warn"]
        self._command += [f"--storage.tsdb.path={home}/data", f"--web.listen-address=127.0.0.1:{port}"]
        self._log = home / "log"

    @contextmanager
    def running(self) -> Iterator["Prometheus"]:
        with open(self._log, "w") as log:
            process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(self.is_up, TIMEOUT)
            yield self
            assert "error" not in self._log.read_text()
        finally:
            process.kill()
            process.wait()

    def is_up(self) -> bool:
        try:
            return bool(self.query("up"))
        except requests.RequestException:  # it is starting
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.url}/query", params={"query": expression}, timeout=TIMEOUT).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def firing(self) -> dict[tuple[str, str], str]:
        """What the alerts that fire say, by their names and jobs."""
        alerts = requests.get(f"{self.url}/alerts", timeout=TIMEOUT).json()["data"]["alerts"]
        return {
            (alert["labels"]["alertname"], alert["labels"].get("job", "")): alert["annotations"]["summary"]
            for alert in alerts
            if alert["state"] == "firing"
        }


@pytest.fixture(scope="module")
def prometheus(service: Monitored, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus(tmp_path_factory.mktemp("prometheus"), service).running() as running:
        yield running


def test_dashboard_and_rules_ask_for_what_there_is(service: Monitored, prometheus: Prometheus) -> None:
    recorded = {rule["record"] for group in RULES for rule in group["rules"] if "record" in rule}
    panels = [
        target["expr"].replace("$__rate_interval", "10s").replace("$model", ".+")
        for panel in PANELS
        for target in panel["targets"]
    ]
    wait_until(lambda: all(map(prometheus.query, [*panels, *recorded])), TIMEOUT)
    # An alert's own query has no result while all is well, so its metrics are looked for by name.
    for alert in ALERTS:
        names = re.sub(r"\{.*?\}|\b(by|on) \(.*?\)", "", alert["expr"])  # without their labels
        for name in re.findall(r"\bup\b|\b(?:classifier|envoy|ts)_\w+|\b\w+:\w+:\w+", names):
            assert prometheus.query(name), f"{name} of {alert['alert']}"


def test_alert_fires_when_workers_die_and_resolves_when_they_are_back(
    service: Monitored, prometheus: Prometheus
) -> None:
    wait_until(lambda: len(prometheus.query("instance_model:workers_ready:count > 1")) == 1, TIMEOUT)
    # With waits of a second, a Prometheus that has just started may have seen no report of a worker for too long.
    wait_until(lambda: "NoReadyWorker" not in {name for name, _ in prometheus.firing()}, TIMEOUT)

    said: dict[tuple[str, str], str] = {}

    def kill() -> bool:
        for worker in service.server.workers():
            with contextlib.suppress(psutil.NoSuchProcess):  # ended by itself
                worker.kill()
        said.update(prometheus.firing())
        return {("NoReadyWorker", "torchserve"), ("NoReadyWorker", "gateway")} <= said.keys()

    wait_until(kill, TIMEOUT)
    address = service.server.metrics_url.removeprefix("http://")
    assert said["NoReadyWorker", "torchserve"] == f"No worker of model mnist predicts, says torchserve at {address}."
    assert "NodeDown" not in {name for name, _ in said}
    wait_until(lambda: "NoReadyWorker" not in {name for name, _ in prometheus.firing()}, TIMEOUT)
    assert prometheus.query("instance_model:workers_ready:count > 0")
    assert len(prometheus.query("classifier_worker_report_timestamp_seconds")) == 2, "who takes a place has its name"
