"""What the gateway repeats: only what no worker can have seen, once, on another node."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from mnist_torchserve.gateway import Gateway, Node
from mnist_torchserve.ports import Address
from mnist_torchserve.service import TorchServe
from tests.support import stub
from tests.support.fixtures import MakeGateway
from tests.support.gateway_client import predict
from tests.support.stub import Stub

Answer = Callable[[int], tuple[int, Any]]  # from a node's port to what it answers

ERROR = {"code": 500, "type": "InternalServerException", "message": "Worker died."}


class Nodes:
    """Two nodes that count what they are asked for, and answer as they are told."""

    def __init__(self, stack: ExitStack) -> None:
        self.answer: Answer = lambda port: (200, {})
        self.tries: Counter[int] = Counter()  # of predictions, by the node's port
        self.stubs: list[Stub] = []
        for _ in range(2):
            self.stubs.append(stack.enter_context(stub.running()))
            self.stubs[-1].answering = self._answering(self.stubs[-1].server_port)

    def _answering(self, port: int) -> stub.Answering:
        def answering(path: str, _: bytes) -> tuple[int, Any]:
            if not path.startswith("/predictions"):
                return 200, {}
            self.tries[port] += 1
            return self.answer(port)

        return answering


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with ExitStack() as stack:
        yield Nodes(stack)


@pytest.fixture
def before_nodes(make_gateway: MakeGateway, node: TorchServe, nodes: Nodes) -> Iterator[Gateway]:
    with make_gateway(node).running() as gateway:
        addresses = [Address.parse(urlsplit(each.url).netloc) for each in nodes.stubs]
        gateway.route(*(Node(address, address) for address in addresses))
        yield gateway


@pytest.mark.parametrize("status", [400, 413, 422, 500, 502, 504, 507])
def test_what_a_worker_may_have_seen_is_asked_once(before_nodes: Gateway, nodes: Nodes, status: int) -> None:
    nodes.answer = lambda port: (status, ERROR)
    assert predict(before_nodes).status_code == status
    assert nodes.tries.total() == 1


def test_connection_that_is_cut_over_a_request_is_not_tried_again(before_nodes: Gateway, nodes: Nodes) -> None:
    def answer(port: int) -> tuple[int, Any]:
        raise ConnectionError

    nodes.answer = answer
    assert predict(before_nodes).status_code == 503
    assert nodes.tries.total() == 1


def test_full_queue_of_one_node_is_anothers_chance(before_nodes: Gateway, nodes: Nodes) -> None:
    full, free = (node.server_port for node in nodes.stubs)
    nodes.answer = lambda port: (503 if port == full else 200, ERROR)
    with before_nodes.session() as session:
        for _ in range(50):
            assert predict(before_nodes, session=session).status_code == 200
    assert nodes.tries[full] > 0
    assert nodes.tries[free] == 50


def test_full_queues_are_tried_twice_and_no_more(before_nodes: Gateway, nodes: Nodes) -> None:
    nodes.answer = lambda port: (503, ERROR)
    assert predict(before_nodes).status_code == 503
    assert sorted(nodes.tries.values()) == [1, 1]


def test_answers_to_a_clients_mistakes_take_no_node_out(before_nodes: Gateway, nodes: Nodes) -> None:
    nodes.answer = lambda port: (500 if port == nodes.stubs[0].server_port else 422, ERROR)
    with before_nodes.session() as session:
        for _ in range(50):
            assert predict(before_nodes, session=session).status_code in (422, 500)
    assert all(state.healthy for state in before_nodes.admin.nodes().values())
