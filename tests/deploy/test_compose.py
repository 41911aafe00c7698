"""deploy/compose.yaml as it is started by hand: asked, scraped, scaled, and hurt while clients send."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from mnist_torchserve.contract import TIMEOUT
from mnist_torchserve.faults.account import Account, Ending
from mnist_torchserve.faults.crowd import CUT, NOT_ACCEPTED, Crowd
from mnist_torchserve.ports import free_ports
from mnist_torchserve.project import EXAMPLE
from mnist_torchserve.waiting import wait_until
from tests.support import engine
from tests.support.engine import Compose

pytestmark = pytest.mark.containers

KEY = "0123456789abcdef0123456789abcdef"
PATIENCE = 120  # s
DEADLINE = 7.0  # s, the gateway's 5 with its margin
BEFORE, AFTER = 100, 400  # requests


class Deployed:
    """What Compose has started."""

    def __init__(self, compose: Compose, port: int, prometheus: int) -> None:
        self.compose = compose
        self.url = f"http://127.0.0.1:{port}"
        self.prometheus = f"http://127.0.0.1:{prometheus}/api/v1"

    def predict(self, key: str | None) -> requests.Response:
        headers = {"Content-Type": "application/json"} | ({} if key is None else {"x-api-key": key})
        return requests.post(f"{self.url}/predict", EXAMPLE.read_bytes(), headers=headers, timeout=TIMEOUT)

    def status(self) -> int | None:
        """Of a prediction; None where nobody listens."""
        try:
            return self.predict(KEY).status_code
        except requests.ConnectionError:
            return None

    def answered(self) -> Counter[int]:
        """Predictions by their status, in the gateway's own log."""
        [gateway] = self.compose.containers("gateway")
        return Counter(line["status"] for line in engine.log(gateway) if line.get("route") == "predict")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus answers; nothing while it starts."""
        try:
            answer = requests.get(f"{self.prometheus}/query", params={"query": expression}, timeout=TIMEOUT)
        except requests.ConnectionError:
            return []
        return list(answer.json()["data"]["result"])

    def nodes(self) -> int:
        """Nodes that the gateway finds healthy."""
        [gateway] = self.compose.containers("gateway")
        ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8001/metrics').read().decode())"
        page = engine.docker("exec", gateway, "python", "-I", "-c", ask)
        [line] = [line for line in page.splitlines() if line.startswith("envoy_cluster_membership_healthy{")]
        return int(line.rpartition(" ")[2])


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The service with two TorchServe replicas and Prometheus, built from this tree."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"{KEY}\n")
    keys.chmod(0o444)  # user 10001 reads it, and the folder keeps others of this machine from it
    port, prometheus = free_ports(2)
    variables = {"API_KEYS": str(keys), "PUBLISH": f"127.0.0.1:{port}"}
    compose = Compose(f"mnist-test-{os.getpid()}", {**variables, "PUBLISH_PROMETHEUS": f"127.0.0.1:{prometheus}"})
    up = ["--profile", "monitoring", "up", "--build", "--detach", "--wait", "--scale", "torchserve=2"]
    try:
        compose(*up, timeout=engine.BUILD_TIMEOUT)
        yield Deployed(compose, port, prometheus)
    finally:
        compose("--profile", "monitoring", "down", "--volumes")


def test_prediction_wants_a_key(deployed: Deployed) -> None:
    assert deployed.predict(KEY).json()["prediction"] == 7
    assert deployed.predict(None).status_code == 401
    assert deployed.predict(KEY[::-1]).status_code == 401


def test_gateway_finds_every_replica(deployed: Deployed) -> None:
    wait_until(lambda: deployed.nodes() == 2, PATIENCE)
    crowd = Crowd(f"{deployed.url}/predict", DEADLINE, key=KEY, clients=8, pace=0.01)
    with crowd.running():
        wait_until(lambda: len(crowd.account().requests) > BEFORE, PATIENCE)
    [gateway] = deployed.compose.containers("gateway")

    def served() -> set[str]:
        return {line["node"] for line in engine.log(gateway) if line.get("route") == "predict" and line["node"]}

    wait_until(lambda: len(served()) == 2, TIMEOUT)


def test_prometheus_scrapes_both_and_has_the_rules(deployed: Deployed) -> None:
    wait_until(lambda: len(deployed.query("up{job='torchserve'} == 1")) == 2, PATIENCE)
    wait_until(lambda: len(deployed.query("up{job='gateway'} == 1")) == 1, PATIENCE)
    wait_until(lambda: len(deployed.query("instance_model:workers_ready:count")) > 0, PATIENCE)
    groups = requests.get(f"{deployed.prometheus}/rules", timeout=TIMEOUT).json()["data"]["groups"]
    assert "NodeDown" in {rule["name"] for group in groups for rule in group["rules"]}


def test_only_the_gateway_and_prometheus_are_published(deployed: Deployed) -> None:
    published = {
        port
        for service in ("torchserve", "gateway", "prometheus")
        for container in deployed.compose.containers(service)
        for port, bound in engine.inspect(container)["NetworkSettings"]["Ports"].items()
        if bound
    }
    assert published == {"8000/tcp", "9090/tcp"}


def test_every_line_on_stdout_is_json(deployed: Deployed) -> None:
    deployed.predict(KEY)
    [gateway] = deployed.compose.containers("gateway")
    wait_until(lambda: any(line.get("route") == "predict" for line in engine.log(gateway)), TIMEOUT)
    for container in deployed.compose.containers("torchserve"):
        assert any(line.get("logger") == "MODEL_LOG" for line in engine.log(container))
    assert KEY not in json.dumps(engine.log(gateway))


@pytest.fixture
def replica(deployed: Deployed) -> str:
    """One of two replicas that serve."""
    deployed.compose("up", "--no-recreate", "--detach", "--wait", "--scale", "torchserve=2")
    wait_until(lambda: deployed.nodes() == 2, PATIENCE)
    return deployed.compose.containers("torchserve")[0]


def account_of(deployed: Deployed, hurt: Callable[[], object]) -> Account:
    """What becomes of the requests while something is done to the service, and after it."""
    crowd = Crowd(f"{deployed.url}/predict", DEADLINE, key=KEY)
    with crowd.running():
        wait_until(lambda: len(crowd.account().requests) > BEFORE, PATIENCE)
        hurt()
        done = len(crowd.account().requests)
        wait_until(lambda: len(crowd.account().requests) > done + AFTER, PATIENCE)
    assert crowd.lost() == 0
    account = crowd.account()
    print({ending.value: account.count(ending) for ending in Ending}, dict(account.reasons()))
    assert account.count(Ending.WRONG) == 0, account.reasons()
    assert account.count(Ending.HANGING) == 0, account.reasons()
    return account


def test_jvm_that_is_killed_costs_what_it_had_and_comes_back(deployed: Deployed, replica: str) -> None:
    kill = "import psutil; [p.kill() for p in psutil.process_iter() if p.name() == 'java']"
    account = account_of(deployed, lambda: engine.docker("exec", replica, "python", "-c", kill))
    assert account.count(Ending.FAILED) + account.count(Ending.REFUSED) <= 64
    wait_until(lambda: deployed.nodes() == 2, PATIENCE)


def test_replica_that_is_killed_costs_what_it_had(deployed: Deployed, replica: str) -> None:
    account = account_of(deployed, lambda: engine.docker("kill", replica))
    assert account.count(Ending.FAILED) + account.count(Ending.REFUSED) <= 64


def test_replica_that_is_told_to_end_costs_nothing(deployed: Deployed, replica: str) -> None:
    account = account_of(deployed, lambda: engine.docker("stop", "--time=40", replica))
    assert account.count(Ending.ANSWERED) == len(account.requests), account.reasons()
    assert engine.inspect(replica)["State"]["ExitCode"] == 0


def test_gateway_that_is_told_to_end_answers_what_it_has_taken(deployed: Deployed, replica: str) -> None:
    [gateway] = deployed.compose.containers("gateway")

    def restart() -> None:
        engine.docker("stop", "--time=20", gateway)
        assert engine.inspect(gateway)["State"]["ExitCode"] == 0
        engine.docker("start", gateway)

    before = deployed.answered()
    account = account_of(deployed, restart)
    assert set(account.reasons()) <= {CUT, NOT_ACCEPTED}
    # Those have reached nobody: of all that the gateway has taken, as its log says, each has its answer.
    taken = Counter({200: account.count(Ending.ANSWERED)})
    wait_until(lambda: deployed.answered() - before == taken, TIMEOUT)


def test_gateway_outlives_all_nodes(deployed: Deployed, replica: str) -> None:
    for container in deployed.compose.containers("torchserve"):
        engine.docker("stop", "--time=40", container)
    [gateway] = deployed.compose.containers("gateway")
    engine.docker("restart", gateway)
    wait_until(lambda: deployed.status() == 503, PATIENCE)
    assert engine.inspect(gateway)["RestartCount"] == 0
    deployed.compose("up", "--detach", "--wait", "--scale", "torchserve=2")
    wait_until(lambda: deployed.status() == 200, PATIENCE)
