"""Several TorchServe nodes behind the gateway: what happens to one of them takes the service from nobody."""

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import requests
from mnist_torchserve.contract import TIMEOUT
from mnist_torchserve.gateway import Gateway, Node
from mnist_torchserve.service import TorchServe
from mnist_torchserve.waiting import wait_until
from tests.support.checkout import Checkout
from tests.support.fixtures import MakeGateway, MakeServer
from tests.support.gateway_client import predict
from tests.support.workers import have_ended, stuck

pytestmark = pytest.mark.nodes

PATIENCE = 60  # s
CLIENTS = 4


class Load:
    """What a few clients in a hurry are answered."""

    def __init__(self) -> None:
        self.answers: Counter[int | str] = Counter()

    def wait_for_more(self, count: int = 100) -> None:
        """Until this many more requests were answered."""
        enough = self.answers.total() + count
        wait_until(lambda: self.answers.total() >= enough, PATIENCE)


@contextmanager
def load(gateway: Gateway) -> Iterator[Load]:
    """Clients that send one prediction after the other, until the end."""
    answered, end = Load(), threading.Event()

    def client() -> None:
        with gateway.session() as session:
            while not end.is_set():
                answer: int | str
                try:
                    response = predict(gateway, session=session)
                    answer = 200 if response.status_code == 200 else response.text
                except requests.RequestException as error:
                    answer = repr(error)
                answered.answers[answer] += 1

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in clients:
        thread.start()
    try:
        answered.wait_for_more()
        yield answered
        answered.wait_for_more()
    finally:
        end.set()
        for thread in clients:
            thread.join()


@pytest.fixture
def pair(make_server: MakeServer) -> Iterator[list[TorchServe]]:
    """Two nodes."""
    with ExitStack() as stack:
        servers = [make_server(), make_server()]
        for server in servers:
            server.start()
            stack.callback(server.stop)
        for server in servers:
            server.wait_ready()
        yield servers


def test_end_of_one_node_costs_what_it_had_taken_and_no_more(pair: list[TorchServe], make_gateway: MakeGateway) -> None:
    first, second = pair
    with make_gateway(*pair).running() as gateway:

        def is_healthy(server: TorchServe) -> bool:
            return gateway.admin.nodes()[server.inference_url.removeprefix("http://")].healthy

        assert is_healthy(first)
        assert is_healthy(second)
        with load(gateway) as answered:
            for worker in first.workers():
                worker.kill()
            answered.wait_for_more()
            wait_until(lambda: len(first.workers()) == 2 and is_healthy(first), PATIENCE)
            with stuck(first):
                wait_until(lambda: not is_healthy(first), PATIENCE)
                answered.wait_for_more()
            wait_until(lambda: is_healthy(first), PATIENCE)
            first.family()[0].kill()
            wait_until(lambda: not is_healthy(first), PATIENCE)
            answered.wait_for_more()
            assert requests.get(f"{gateway.url}/health", timeout=2).status_code == 200
            first.stop()  # what is left of it
            first.start()
            first.wait_ready()
            wait_until(lambda: is_healthy(first), PATIENCE)
            # Out of the list, restarted, and back: what an operator does to a node elsewhere.
            gateway.route(Node.of(first), Node.of(second, draining=True))
            second.stop()
            second.start()
            second.wait_ready()
            gateway.route(Node.of(first), Node.of(second))
            answered.wait_for_more()
        # The gateway repeats nothing that a worker may have seen: whatever the first node had taken is lost, no more.
        lost = answered.answers - Counter({200: answered.answers[200]})
        assert lost.total() <= 3 * CLIENTS, lost
        assert {json.loads(str(answer))["code"] for answer in lost} <= {500, 502, 503, 504, 507}


def test_client_errors_take_no_node_out(pair: list[TorchServe], make_gateway: MakeGateway) -> None:
    with make_gateway(*pair).running() as gateway:
        with gateway.session() as session:
            for _ in range(50):
                assert predict(gateway, "{}", session=session).status_code == 422
        assert all(state.healthy for state in gateway.admin.nodes().values())


def test_model_is_updated_without_an_interruption(checkout: Checkout) -> None:
    def version() -> str:
        url = f"{checkout.server.management_url}/models/mnist?customized=true"
        return str(requests.get(url, timeout=TIMEOUT).json()[0]["customizedMetadata"]["output"]["prediction"])

    assert "start the service with scripts/serve --gateway" in checkout.run("scripts/update", code=1)
    foreground = checkout.popen("scripts/serve --gateway")
    checkout.wait_for_output("Ctrl-C ends it")
    assert checkout.gateway.predict_url in checkout.output()
    checkout.run("scripts/reload")
    handler = checkout.root / "handler" / "mnist_handler.py"
    good = handler.read_text()
    with load(checkout.gateway) as answered:
        changed = good.replace('f"0 to {self._runtime.classes - 1}"', '"0 to nine"')
        assert changed != good
        handler.write_text(changed)
        checkout.run("scripts/update")
        assert version() == "0 to nine"
        handler.write_text("import no_such_module\n" + good)
        assert "No module named 'no_such_module'" in checkout.run("scripts/update", code=1)
        assert version() == "0 to nine"
    assert set(answered.answers) == {200}
    assert foreground.poll() is None, "a restart is no end"
    processes = [service.family()[0] for service in (checkout.server, checkout.gateway)]
    assert "The service has ended; its ports are free.\n" in checkout.run("scripts/stop")
    assert foreground.wait(TIMEOUT) == 1, "it tells that the service has ended"
    assert have_ended(processes)


def test_update_that_fails_halfway_leaves_one_node_and_can_be_tried_again(checkout: Checkout) -> None:
    foreground = checkout.popen("scripts/serve --gateway")
    checkout.wait_for_output("Ctrl-C ends it")
    second = checkout.server.standby()
    program = checkout.root / ".venv" / "bin" / "torchserve"
    works = program.read_text()
    only_second = 'case "$*" in *standby*) ;; *) echo "Error: no more of these"; exit 1 ;; esac'
    with load(checkout.gateway) as answered:
        program.write_text(works.replace("\n", f"\n{only_second}\n", 1))
        output = checkout.run("scripts/update", code=1)
        assert "TorchServe did not start, code 1: Error: no more of these" in output
        assert "A second TorchServe serves instead: scripts/update tries again" in output
        assert (checkout.server.process(), foreground.poll()) == (None, None)
        answered.wait_for_more()

        program.write_text(works)
        checkout.run("scripts/update")
        assert checkout.server.process() is not None
        assert second.process() is None
        answered.wait_for_more()

        interrupted = checkout.popen("env --default-signal scripts/update")
        checkout.wait_for_output("Restarting the first")
        interrupted.send_signal(signal.SIGINT)
        assert interrupted.wait(PATIENCE) == 1
        assert checkout.output().endswith("Interrupted.\n")
        assert (second.process(), foreground.poll()) == (None, None)
    assert set(answered.answers) == {200}
    program.write_text(works.replace("\n", f"\n{only_second}\n", 1))
    checkout.run("scripts/update", code=1)
    foreground.terminate()
    assert foreground.wait(PATIENCE) == 0
    assert checkout.survivors() == [], "what serves in its place ends with it"
