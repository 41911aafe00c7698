"""Each limit of the gateway: it fires, and lets ordinary use pass."""

import contextlib
import http.client
import json
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import yaml
from classifier.types import MAX_LARGE_BODY
from mnist_torchserve.contract import MAX_BODY, PIXELS, TIMEOUT
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.gateway.configuration import TEMPLATE, derive
from mnist_torchserve.gateway.settings import load
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import TorchServe, read_properties
from mnist_torchserve.waiting import wait_until
from tests.support.fixtures import MakeGateway
from tests.support.gateway_client import PAYLOAD, ask, assert_error, assert_refused, get_from, parse, predict, talk
from tests.support.workers import stuck


def test_body_limits_are_the_handlers_and_torchserves(gateway: Gateway) -> None:
    assert predict(gateway, PAYLOAD.ljust(MAX_BODY)).status_code == 200
    refused = predict(gateway, PAYLOAD.ljust(MAX_BODY + 1))
    assert_refused(refused, 413)
    assert str(MAX_BODY) in refused.json()["message"]
    limit = int(read_properties()["max_request_size"])
    assert limit == MAX_LARGE_BODY, "as the handler reads"
    url = f"{gateway.url}/v1/models/mnist:predict"
    body = json.dumps({"instances": [[0] * PIXELS]})
    assert requests.post(url, data=body.ljust(limit), timeout=TIMEOUT).status_code == 200
    refused = requests.post(url, data=body.ljust(limit + 1), timeout=TIMEOUT)
    assert_refused(refused, 413, kserve=True)
    assert str(limit) in refused.json()["message"]


def test_a_thousand_requests_at_once_are_answered(gateway: Gateway) -> None:
    with ThreadPoolExecutor(50) as pool, contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(gateway.session()) for _ in range(50)]
        answers = pool.map(lambda session: predict(gateway, session=session), sessions * 20)
        assert [answer.status_code for answer in answers] == [200] * 1000


def test_rates_of_the_template_are_the_usual_ones_of_the_settings() -> None:
    """So that deploy/gateway/envoy.yaml by hand has the same limits."""
    as_it_stands = yaml.safe_load(TEMPLATE.read_text())
    settings = load(ROOT / "deploy" / "gateway" / "settings.toml")
    derived = derive(TEMPLATE, settings, [], ["mnist"], Path("admin"))
    for config in (as_it_stands, derived):
        config["manager"] = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][-1][
            "typed_config"
        ]
    assert derived["manager"]["http_filters"][0] == as_it_stands["manager"]["http_filters"][0]
    assert derived["manager"]["xff_num_trusted_hops"] == as_it_stands["manager"]["xff_num_trusted_hops"] == 0


@pytest.mark.parametrize(("rate", "bucket"), [(40, (80, 4, "0.1s")), (15, (30, 15, "1s")), (1, (2, 1, "1s"))])
def test_rate_that_is_no_multiple_of_ten_is_filled_once_a_second(
    rate: int, bucket: tuple[int, int, str], tmp_path: Path
) -> None:
    (tmp_path / "settings.toml").write_text(f"rate_limit_client = {rate}\n")
    config = derive(TEMPLATE, load(tmp_path / "settings.toml"), [], ["mnist"], Path("admin"))
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][-1]["typed_config"]
    [client] = manager["http_filters"][0]["typed_config"]["descriptors"]
    assert tuple(client["token_bucket"].values()) == bucket


Answer = tuple[int, http.client.HTTPMessage, bytes]


def first_refused(ask: Callable[[], Answer]) -> Answer:
    """The first answer that is no 200; the one before it was."""
    assert ask()[0] == 200
    return next(answer for answer in (ask() for _ in range(90)) if answer[0] != 200)


def test_rate_of_one_address_is_limited(make_gateway: MakeGateway, node: TorchServe) -> None:
    with make_gateway(node, rate_limit_client=1, rate_limit_all=1_000).running() as gateway:
        refused = first_refused(lambda: get_from("127.0.0.5", gateway))
        assert_error(*refused, 429)
        assert int(refused[1]["Retry-After"]) > 0
        status, _, body = ask(gateway, "GET", "/v2/models/mnist", source_address=("127.0.0.5", 0))
        assert (status, json.loads(body)["error"]) == (429, json.loads(refused[2])["message"])
        assert get_from("127.0.0.6", gateway)[0] == 200


def test_rate_of_all_together_is_limited(make_gateway: MakeGateway, node: TorchServe) -> None:
    addresses = (f"127.0.1.{number}" for number in range(1, 100))
    with make_gateway(node, rate_limit_client=1_000, rate_limit_all=3).running() as gateway:
        refused = first_refused(lambda: get_from(next(addresses), gateway))
        assert_error(*refused, 429)


def test_client_behind_a_trusted_proxy_has_a_limit_of_its_own(make_gateway: MakeGateway, node: TorchServe) -> None:
    with make_gateway(node, rate_limit_client=1, trusted_proxies=1).running() as gateway, gateway.session() as session:

        def ask(client: str) -> int:
            headers = {"X-Forwarded-For": client}
            return session.get(f"{gateway.url}/health", headers=headers, timeout=TIMEOUT).status_code

        wait_until(lambda: ask("192.0.2.1") == 429, TIMEOUT)
        assert ask("192.0.2.2") == 200
        assert ask("192.0.2.1, 192.0.2.3") == 200, "the last address is the one that the proxy has seen"


def test_client_without_a_proxy_is_not_believed(make_gateway: MakeGateway, node: TorchServe) -> None:
    clients = (f"192.0.2.{number}" for number in range(1, 100))
    with make_gateway(node, rate_limit_client=1).running() as gateway, gateway.session() as session:

        def ask() -> int:
            headers = {"X-Forwarded-For": next(clients)}
            return session.get(f"{gateway.url}/health", headers=headers, timeout=TIMEOUT).status_code

        wait_until(lambda: ask() == 429, TIMEOUT)


def test_connections_are_limited(make_gateway: MakeGateway, node: TorchServe) -> None:
    limits = {"max_active_downstream_connections: 4096": "max_active_downstream_connections: 3"}
    with make_gateway(node, limits=limits).running() as gateway, contextlib.ExitStack() as stack:

        def wait_for_connections(count: int) -> None:
            active = "http.gateway.downstream_cx_active"
            wait_until(lambda: set(gateway.admin.stats(active).values()) == {count}, TIMEOUT)

        def connect() -> socket.socket:
            connection = stack.enter_context(socket.create_connection(gateway.settings.listen, TIMEOUT))
            connection.sendall(b"GET / HTTP/1.1\r\n")  # or it is none yet
            return connection

        wait_for_connections(0)  # of those that found it ready
        first, *_ = [connect() for _ in range(3)]
        wait_for_connections(3)
        assert is_turned_away(connect), "one too many"
        first.sendall(b"Host: x\r\n\r\n")
        assert first.recv(65536).startswith(b"HTTP/1.1 200 OK")


def is_turned_away(connect: Callable[[], socket.socket]) -> bool:
    """Whether a connection is closed without an answer, before its first line or after it."""
    try:
        return connect().recv(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"X: " + b"x" * 6000, b"200 "),
        (b"X: " + b"x" * 7500, b"431 "),
        (b"\r\n".join(b"X%d: x" % number for number in range(50)), b"200 "),
        (b"\r\n".join(b"X%d: x" % number for number in range(65)), b"431 "),
    ],
    ids=["6 KB", "7.5 KB", "50 headers", "65 headers"],
)
def test_headers_are_limited(gateway: Gateway, head: bytes, expected: bytes) -> None:
    answer = talk(gateway, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + head + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 " + expected)


def test_slow_clients_are_let_go(make_gateway: MakeGateway, node: TorchServe) -> None:
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


def test_deadline_is_kept_and_requests_in_flight_are_bounded(make_gateway: MakeGateway, node: TorchServe) -> None:
    limits = {"max_requests: 512": "max_requests: 5", "timeout: 5s # the deadline": "timeout: 1s # the deadline"}
    with make_gateway(node, limits=limits).running() as gateway:
        with stuck(node), ThreadPoolExecutor(20) as pool:
            url = f"{gateway.url}/v2/models/mnist/infer"
            others = [pool.submit(requests.post, url, data=b"{}", timeout=TIMEOUT) for _ in range(5)]
            answers = list(pool.map(lambda _: predict(gateway), range(15)))
        for other in others:
            assert_refused(other.result(), other.result().status_code, kserve=True)
        statuses = Counter(answer.status_code for answer in (*answers, *(other.result() for other in others)))
        assert set(statuses) == {503, 504}
        assert 0 < statuses[504] <= 7, "and one more for each thread of Envoy, which sees the others' late"
        for answer in answers:
            assert_refused(answer, answer.status_code)
        assert {answer.headers.get("Retry-After") for answer in answers if answer.status_code == 503} == {"1"}
        first = min(answers, key=lambda answer: answer.elapsed)
        assert first.status_code == 503, "at once, not after the deadline"
        wait_until(lambda: predict(gateway).status_code == 200, 30)


def test_client_cannot_lift_limits(gateway: Gateway) -> None:
    headers = {"x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-max-retries": "0", "x-forwarded-for": "127.0.9.9"}
    answers = [predict(gateway, headers=headers).status_code for _ in range(20)]
    assert answers == [200] * 20
