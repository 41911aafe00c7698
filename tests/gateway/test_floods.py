"""What one client can take of the gateway: its memory, its connections, its time."""

import contextlib
import socket
import ssl
from pathlib import Path

import pytest
import requests
from mnist_torchserve.contract import TIMEOUT
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.service import TorchServe
from tests.support.fixtures import MakeGateway
from tests.support.gateway_client import PAYLOAD, assert_error, assert_refused, parse, predict, talk
from tests.support.http2 import flood
from tests.support.secrets import write_secret

KEY = "a-key-of-the-tests"
MEBIBYTES = 60  # that a flood without a key may cost; buffered bodies cost 500


@pytest.fixture
def closed(make_gateway: MakeGateway, node: TorchServe, tmp_path: Path) -> Gateway:
    """A gateway that wants keys; not started yet."""
    return make_gateway(node, keys=str(write_secret(tmp_path / "keys", KEY)))


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", b"/nothing-here"), ("POST", b"/health"), ("GET", b"/health"), ("GET", b"/"), ("POST", b"/predict")],
)
def test_bodies_that_nobody_wants_take_no_memory(closed: Gateway, method: str, path: bytes) -> None:
    with closed.running(), contextlib.ExitStack() as stack:
        [envoy] = closed.family()
        before = envoy.memory_info().rss
        for _ in range(35):  # fewer requests than one address may send at once
            stack.enter_context(flood(closed.settings.listen, method, path, streams=100, size=64_000))
        assert (envoy.memory_info().rss - before) / 2**20 < MEBIBYTES
        assert predict(closed, key=KEY).status_code == 200


@pytest.mark.parametrize(
    ("head", "expected"), [(b"GET /nothing", 404), (b"POST /health", 405), (b"POST /predict", 401)]
)
def test_refusal_does_not_wait_for_the_body(closed: Gateway, head: bytes, expected: int) -> None:
    with closed.running():
        raw = talk(closed, head + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\nx")
        assert_error(*parse(raw), expected)  # and not 408, for which it would have waited
        assert_error(*parse(talk(closed, b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n")), 404)


def test_get_with_a_body_is_refused(gateway: Gateway) -> None:
    for path in ("/", "/health", "/v2/health/live", "/v2/models/mnist/ready"):
        assert requests.get(gateway.url + path, headers={"Content-Length": "0"}, timeout=TIMEOUT).status_code == 200
        refused = requests.get(gateway.url + path, data=b"{}", timeout=TIMEOUT)
        assert_refused(refused, 413, kserve=path.startswith("/v2"))


def test_health_says_nothing_of_the_model_where_the_client_is_to_blame(gateway: Gateway) -> None:
    answer = requests.get(f"{gateway.url}/health", headers={"X-Long": "x" * 9_000}, timeout=TIMEOUT)
    assert answer.status_code == 431
    assert answer.json()["code"] == 431


def test_right_key_beside_a_wrong_one_is_no_key(closed: Gateway) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: %d\r\n" % len(PAYLOAD)
    with closed.running():
        statuses = [
            parse(
                talk(
                    closed,
                    head + b"".join(b"x-api-key: %s\r\n" % key.encode() for key in keys) + b"\r\n" + PAYLOAD.encode(),
                )
            )[0]
            for keys in ([KEY], ["wrong", KEY], [KEY, "wrong"], [KEY, KEY])
        ]
    assert statuses == [200, 401, 401, 401]


def test_connections_that_say_nothing_are_given_back(
    make_gateway: MakeGateway, node: TorchServe, certificates: Path
) -> None:
    limits = {
        "listener_filters_timeout: 5s": "listener_filters_timeout: 0.3s",
        "transport_socket_connect_timeout: 5s": "transport_socket_connect_timeout: 0.3s",
    }
    keys = {"certificate": str(certificates / "server.pem"), "private_key": str(certificates / "server.key")}
    for settings in ({}, keys):
        with make_gateway(node, limits=limits, **settings).running() as gateway:
            for said in (b"", b"G", b"\x16\x03\x01"):
                with socket.create_connection(gateway.settings.listen, TIMEOUT) as connection:
                    connection.sendall(said)
                    wait_until_closed(connection)
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    hello = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="127.0.0.1").do_handshake()
    gateway = make_gateway(node, limits=limits, **keys)
    with gateway.running(), socket.create_connection(gateway.settings.listen, TIMEOUT) as connection:
        connection.sendall(hello.read())  # and then nothing more: a handshake without an end
        wait_until_closed(connection)


def wait_until_closed(connection: socket.socket) -> None:
    """Or fail by the connection's timeout, which is longer than the gateway's."""
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(65_536):
            pass
