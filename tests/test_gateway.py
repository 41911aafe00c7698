"""The gateway from outside: its routes and their truth, each limit firing and letting ordinary use pass."""

import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from conftest import MakeGateway
from environment import ROOT
from gateway import Gateway
from gateway_settings import Address
from ports import is_taken
from server import Server, read_properties
from workers import stuck

TEMPLATE = ROOT / "deploy" / "gateway" / "envoy.yaml"
PAYLOAD = json.dumps({"data": [0.0] * 784})
TIMEOUT = 15  # s


def predict(gateway: Gateway, body: str | bytes = PAYLOAD, **headers: str) -> requests.Response:
    sent = {"Content-Type": "application/json"} | headers
    return requests.post(gateway.predict_url, data=body, headers=sent, timeout=TIMEOUT)


def get_from(address: str, gateway: Gateway) -> tuple[int, http.client.HTTPMessage, bytes]:
    """GET / as a client with this address, one of the many that loopback has."""
    return ask(gateway, "GET", "/", source_address=(address, 0))


def ask(gateway: Gateway, method: str, path: str, **options: Any) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Ask for a path exactly as it is written."""
    listen = gateway.settings.listen
    connection = http.client.HTTPConnection(listen.host, listen.port, timeout=TIMEOUT, **options)
    with contextlib.closing(connection):
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def talk(gateway: Gateway, *said: bytes) -> bytes:
    """Send bytes on a connection of their own, and read until the gateway closes it."""
    with socket.create_connection(gateway.settings.listen, TIMEOUT) as connection:
        for piece in said:
            connection.sendall(piece)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def assert_error(status: int, headers: Any, body: bytes | str, expected: int) -> None:
    assert status == expected
    assert headers["Content-Type"] == "application/json"
    error = json.loads(body)
    assert set(error) == {"code", "type", "message"}
    assert error["code"] == expected
    assert error["type"].endswith("Exception")
    assert re.fullmatch(r"\S.*\. \S.*\.", error["message"]), "what is wrong, and how to mend it"


def assert_refused(response: requests.Response, expected: int) -> None:
    assert_error(response.status_code, response.headers, response.content, expected)


def parse(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """An HTTP/1 response: status, headers with their names as in Content-Type, and body."""
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), {k.title(): v for k, v in (line.split(": ", 1) for line in lines)}, body


@pytest.fixture(scope="module")
def gateway(make_gateway: MakeGateway, node: Server) -> Iterator[Gateway]:
    with make_gateway(node).running() as running:
        yield running


def test_configuration_is_valid_and_uses_nothing_unsettled() -> None:
    envoy = Path(sys.executable).with_name("envoy")
    command = [str(envoy), "--mode", "validate", "--log-level", "warning", "-c", str(TEMPLATE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert checked.stderr == "", "Envoy warns of features that are work in progress"


def test_configuration_as_it_stands_is_for_the_usual_ports() -> None:
    config = yaml.safe_load(TEMPLATE.read_text())["static_resources"]
    ports = re.findall(r"'port_value': (\d+)", str(config))
    usual = [port for port in ports if port in ("8000", "8001", "8080", "8081")]
    assert sorted(set(ports)) == sorted(set(usual)) == ["8000", "8001", "8080", "8081"]


def test_body_limit_is_torchserves(gateway: Gateway) -> None:
    limit = int(read_properties(ROOT / "config.properties")["max_request_size"])
    assert predict(gateway, PAYLOAD.ljust(limit)).status_code == 200
    refused = predict(gateway, PAYLOAD.ljust(limit + 1))
    assert_refused(refused, 413)
    assert str(limit) in refused.json()["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/predictions/mnist",
        "/ping",
        "/models",
        "/models/mnist",
        "/metrics",
        "/api-description",
        "/v1/models/mnist:explain",
        "/v1/models/other:predict",
        "/v2/models/other",
        "/v2/models/mnist/config",
        "/v2/repository/index",
        "/invocations",
        "/workflows",
        "/predict/mnist",
        "/predict/../models",
        "/predict/%2e%2e/models",
        "//models",
        "/Predict",
        "/stats",
        "/config_dump",
        "/quitquitquit",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_else_is_reachable(gateway: Gateway, method: str, path: str) -> None:
    assert_error(*ask(gateway, method, path), 404)


def test_encoded_slash_is_no_way_around(gateway: Gateway) -> None:
    raw = talk(gateway, b"GET /predict%2f..%2fmodels HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert_error(*parse(raw), 400)


PREDICT = ["/predict", "/v1/models/mnist:predict", "/v2/models/mnist/infer"]
ASK = ["/", "/health", "/v1/models", "/v1/models/mnist", "/v2", "/v2/health/live", "/v2/health/ready"]
ASK += ["/v2/models/mnist", "/v2/models/mnist/ready"]


@pytest.mark.parametrize("path", PREDICT + ASK)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_each_route_has_one_method(gateway: Gateway, method: str, path: str) -> None:
    allowed = "POST" if path in PREDICT else "GET"
    response = requests.request(method, gateway.url + path, timeout=TIMEOUT)
    if method == allowed:
        assert response.status_code in (200, 400)  # an empty body is no payload
    else:
        assert_refused(response, 405)
        assert response.headers["Allow"] == allowed


def test_query_reaches_neither_model_nor_management(gateway: Gateway) -> None:
    url = f"{gateway.predict_url}?body=x&data=1"
    answer = requests.post(url, data=PAYLOAD, headers={"Content-Type": "application/json"}, timeout=TIMEOUT)
    assert answer.json() == predict(gateway).json()
    health = requests.get(f"{gateway.url}/health?customized=false", timeout=TIMEOUT)
    assert health.json() == {"status": "healthy", "model_loaded": True}


def test_forms_never_reach_torchserve(gateway: Gateway) -> None:
    answers = [
        requests.post(gateway.url + path, data=b"%zz=", headers={"Content-Type": form}, timeout=TIMEOUT)
        for form in ("application/x-www-form-urlencoded", "Multipart/Form-Data; boundary=x")
        for path in PREDICT
    ]
    for answer in answers:
        assert_refused(answer, 415)


def test_a_thousand_requests_at_once_are_answered(gateway: Gateway) -> None:
    def ask(session: requests.Session) -> int:
        headers = {"Content-Type": "application/json"}
        return session.post(gateway.predict_url, data=PAYLOAD, headers=headers, timeout=TIMEOUT).status_code

    with ThreadPoolExecutor(50) as pool:
        sessions = [gateway.session() for _ in range(50)]
        statuses = list(pool.map(ask, sessions * 20))
    for session in sessions:
        session.close()
    assert statuses == [200] * 1000


def test_rate_of_one_address_is_limited(make_gateway: MakeGateway, node: Server) -> None:
    limits = {"max_tokens: 4000, tokens_per_fill: 200, fill_interval: 0.1s": "max_tokens: 40, fill_interval: 3600s"}
    with make_gateway(node, limits=limits).running() as gateway:
        assert [get_from("127.0.0.5", gateway)[0] for _ in range(40)] == [200] * 40
        refused = get_from("127.0.0.5", gateway)
        assert_error(*refused, 429)
        assert int(refused[1]["Retry-After"]) > 0
        assert get_from("127.0.0.6", gateway)[0] == 200


def test_rate_of_all_together_is_limited(make_gateway: MakeGateway, node: Server) -> None:
    limits = {"max_tokens: 10000, tokens_per_fill: 1000, fill_interval: 0.1s": "max_tokens: 60, fill_interval: 3600s"}
    with make_gateway(node, limits=limits).running() as gateway:
        statuses = [get_from(f"127.0.1.{number}", gateway)[0] for number in range(1, 62)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert statuses == sorted(statuses)


def test_connections_are_limited(make_gateway: MakeGateway, node: Server) -> None:
    limits = {"max_active_downstream_connections: 4096": "max_active_downstream_connections: 3"}
    with make_gateway(node, limits=limits).running() as gateway, contextlib.ExitStack() as stack:

        def wait_for_connections(count: int) -> None:
            deadline = time.monotonic() + TIMEOUT
            while set(gateway.admin.stats("http.gateway.downstream_cx_active").values()) != {count}:
                assert time.monotonic() < deadline
                time.sleep(0.01)

        def connect() -> socket.socket:
            return stack.enter_context(socket.create_connection(gateway.settings.listen, TIMEOUT))

        wait_for_connections(0)  # of those that found it ready
        first, *_ = [connect() for _ in range(3)]
        wait_for_connections(3)
        assert connect().recv(1) == b"", "one too many"
        first.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert first.recv(65536).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"X: " + b"x" * 8000, b"200 "),
        (b"X: " + b"x" * 17000, b"431 "),
        (b"\r\n".join(b"X%d: x" % number for number in range(50)), b"200 "),
        (b"\r\n".join(b"X%d: x" % number for number in range(65)), b"431 "),
    ],
    ids=["8 KB", "17 KB", "50 headers", "65 headers"],
)
def test_headers_are_limited(gateway: Gateway, head: bytes, expected: bytes) -> None:
    answer = talk(gateway, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + head + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 " + expected)


def test_slow_clients_are_let_go(make_gateway: MakeGateway, node: Server) -> None:
    limits = {
        "request_headers_timeout: 5s": "request_headers_timeout: 0.3s",
        "request_timeout: 10s": "request_timeout: 0.5s",
        "idle_timeout: 75s": "idle_timeout: 0.3s",
    }
    with make_gateway(node, limits=limits).running() as gateway:
        assert_error(*parse(talk(gateway, b"GET / HTTP/1.1\r\nHost:")), 408)
        half = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"
        assert_error(*parse(talk(gateway, half)), 408)
        status, _, _ = parse(talk(gateway, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))  # and then nothing more
        assert status == 200


def test_deadline_is_kept_and_requests_in_flight_are_bounded(make_gateway: MakeGateway, node: Server) -> None:
    limits = {
        "max_requests: 512": "max_requests: 5",
        "timeout: 5s # the deadline": "timeout: 1s # the deadline",
    }
    with make_gateway(node, limits=limits).running() as gateway:
        with stuck(node), ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: predict(gateway), range(20)))
        statuses = Counter(answer.status_code for answer in answers)
        assert set(statuses) == {503, 504}
        assert 5 <= statuses[504] <= 7, "and one more for each thread of Envoy, which sees the others' late"
        for answer in answers:
            assert_refused(answer, answer.status_code)
        assert {answer.headers.get("Retry-After") for answer in answers if answer.status_code == 503} == {"1"}
        first = min(answers, key=lambda answer: answer.elapsed)
        assert first.status_code == 503, "at once, not after the deadline"
        deadline = time.monotonic() + 30
        while predict(gateway).status_code != 200:
            assert time.monotonic() < deadline


def test_end_waits_for_what_was_begun(make_gateway: MakeGateway, node: Server) -> None:
    active = "http.gateway.downstream_rq_active"
    with make_gateway(node).running() as gateway, ThreadPoolExecutor(2) as pool:
        url = gateway.predict_url
        with stuck(node):
            answer = pool.submit(predict, gateway)
            while gateway.admin.stats(active).get(active) != 1:
                time.sleep(0.01)
            ended = pool.submit(gateway.stop)
            while is_taken(gateway.settings.listen.port):
                time.sleep(0.01)
            assert not ended.done()
        assert answer.result().status_code == 200
        assert answer.result().headers["Connection"] == "close"
        assert ended.result()
        with pytest.raises(requests.ConnectionError):
            requests.post(url, data=PAYLOAD, timeout=TIMEOUT)


def test_bad_input_is_asked_of_torchserve_once(gateway: Gateway) -> None:
    """TorchServe resets the connection after each error: no reason to send the same again."""
    before = gateway.admin.stats("cluster.inference.upstream_rq_retry", "cluster.inference.upstream_rq_total")
    statuses = [predict(gateway, "{}").status_code for _ in range(200)]
    after = gateway.admin.stats(*before)
    assert statuses == [422] * 200
    assert [int(after[name]) - int(count) for name, count in before.items()] == [0, 200]


def test_client_cannot_lift_limits(gateway: Gateway) -> None:
    headers = {"x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-max-retries": "0", "x-forwarded-for": "127.0.9.9"}
    answers = [predict(gateway, **headers).status_code for _ in range(20)]
    assert answers == [200] * 20


def test_address_is_written_with_its_port() -> None:
    for text in ("127.0.0.1:8000", "[::1]:8000", "torchserve:8080"):
        assert str(Address.parse(text)) == text
