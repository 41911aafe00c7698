"""TorchServe's gRPC behind the gateway: the same answers, with keys, limits and a deadline."""

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from mnist_torchserve.contract import MAX_BODY, blank
from mnist_torchserve.gateway import Gateway, SettingsError
from mnist_torchserve.gateway.settings import load
from mnist_torchserve.service import TorchServe
from tests.support.fixtures import MakeGateway
from tests.support.grpc_client import GrpcClient
from tests.support.secrets import write_secret
from tests.support.workers import stuck

KEY = "a-key-of-the-tests"
BODY = json.dumps(blank()).encode()


@pytest.fixture(scope="module")
def closed(make_gateway: MakeGateway, node: TorchServe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that wants keys, and waits a second at most."""
    keys = write_secret(tmp_path_factory.mktemp("keys") / "keys", KEY)
    limits = {"timeout: 5s # the same deadline": "timeout: 1s"}
    with make_gateway(node, limits=limits, keys=str(keys)).running() as gateway:
        yield gateway


@pytest.fixture
def client(closed: Gateway, stubs: Path) -> Iterator[GrpcClient]:
    client = GrpcClient(str(closed.settings.listen), stubs, KEY)
    with client.channel:
        yield client


def test_answer_is_that_of_the_node(client: GrpcClient, node: TorchServe, stubs: Path) -> None:
    direct = GrpcClient(str(node.grpc_address), stubs)
    with direct.channel:
        for fields in ({"data": BODY}, {"body": BODY}, {"data": b"seven"}):
            assert client.predict(**fields) == direct.predict(**fields)
            assert client.stream(**fields) == [client.predict(**fields)]


@pytest.mark.parametrize("key", [None, KEY[:-1]])
def test_key_is_asked_for(closed: Gateway, stubs: Path, key: str | None) -> None:
    stranger = GrpcClient(str(closed.settings.listen), stubs, key)
    with stranger.channel, pytest.raises(grpc.RpcError) as caught:
        stranger.predict(data=BODY)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert "`x-api-key`" in caught.value.details()


def test_size_is_limited(client: GrpcClient) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        client.predict(data=bytes(MAX_BODY))
    assert "at most 65536 bytes" in caught.value.details()


def test_deadline_is_kept(client: GrpcClient, node: TorchServe) -> None:
    with stuck(node), pytest.raises(grpc.RpcError) as caught:
        client.predict(data=BODY)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "there was none" in caught.value.details()


@pytest.mark.parametrize(
    "method",
    [
        "/org.pytorch.serve.grpc.management.ManagementAPIsService/ListModels",
        "/org.pytorch.serve.grpc.management.ManagementAPIsService/ScaleWorker",
        "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Ping",
        "/org.pytorch.serve.grpc.inference.InferenceAPIsService/StreamPredictions2",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ],
)
def test_nothing_else_is_reachable(client: GrpcClient, method: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        client.channel.unary_unary(method)(b"", timeout=5, metadata=[("x-api-key", KEY)])
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_node_without_the_address_gets_none_of_it(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('nodes = [{inference = "10.0.0.1:8080", management = "10.0.0.1:8081"}]')
    assert load(file).nodes[0].grpc is None
    file.write_text('nodes = [{inference = "10.0.0.1:8080", management = "10.0.0.1:8081", grpc = "10.0.0.1:7070"}]')
    assert load(file).nodes[0].grpc == ("10.0.0.1", 7070)
    file.write_text('nodes = [{inference = "10.0.0.1:8080", management = "10.0.0.1:8081", grpc = "7070"}]')
    with pytest.raises(SettingsError, match=r'Expected an address like .*got "7070"'):
        load(file)
