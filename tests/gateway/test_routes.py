"""The gateway from outside: its configuration, its routes and nothing else, and its end."""

import gzip
import json
import re
import sys
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import requests
import yaml
from classifier import image_files
from mnist_torchserve.contract import MAX_BODY, TIMEOUT
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.ports import Address
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import TorchServe
from mnist_torchserve.waiting import wait_until
from tests.support import programs
from tests.support.fixtures import MakeGateway
from tests.support.gateway_client import PAYLOAD, ask, assert_error, assert_refused, parse, predict, talk
from tests.support.workers import stuck

TEMPLATE = ROOT / "deploy" / "gateway" / "envoy.yaml"


@pytest.mark.parametrize("model", ["mnist", "x" * 64])
def test_configuration_is_valid_and_uses_nothing_unsettled(model: str) -> None:
    envoy = Path(sys.executable).with_name("envoy")
    by_hand = TEMPLATE.read_text().replace("MODEL", model)
    warnings = programs.assert_content(envoy, "--mode", "validate", "--log-level", "warning", "--config-yaml", by_hand)
    assert warnings == "", "Envoy warns of features that are work in progress"


def test_configuration_as_it_stands_is_for_the_usual_ports() -> None:
    config = yaml.safe_load(TEMPLATE.read_text())["static_resources"]
    ports = re.findall(r"'port_value': (\d+)", str(config))
    usual = [port for port in ports if port in ("8000", "8001", "8080", "8081", "7070")]
    assert sorted(set(ports)) == sorted(set(usual)) == ["7070", "8000", "8001", "8080", "8081"]


def test_administration_is_in_no_shared_folder() -> None:
    admin = yaml.safe_load(TEMPLATE.read_text())["admin"]["address"]["pipe"]
    assert Path(admin["path"]).name == admin["path"], "by hand it is in the current folder"
    assert admin["mode"] == 0o600


ELSE = ["/predictions/mnist", "/ping", "/models", "/models/mnist", "/metrics", "/api-description"]  # of TorchServe
ELSE += ["/v1/models/mnist:explain", "/v1/models/other:predict", "/v2/models/other", "/v2/models/mnist/config"]
ELSE += ["/v1", "/v2/repository/index", "/v2/models/mnist/versions/2.0/infer", "/v2/models/mnist/versions/1x0/infer"]
ELSE += ["/invocations", "/workflows", "/v3", "/v1models"]
ELSE += ["/predict/mnist", "/predict/../models", "/predict/%2e%2e/models", "//models", "/Predict"]
ELSE += ["/stats", "/config_dump", "/quitquitquit"]  # of Envoy


@pytest.mark.parametrize("path", ELSE)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_else_is_reachable(gateway: Gateway, method: str, path: str) -> None:
    assert_error(*ask(gateway, method, path), 404, kserve=path.startswith(("/v1/", "/v2/")) or path in ("/v1", "/v2"))


@pytest.mark.parametrize("target", ["CONNECT example.org:80", "OPTIONS *"])
def test_request_for_no_path_is_told_which_there_are(gateway: Gateway, target: str) -> None:
    said = f"{target} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"
    status, _, body = parse(talk(gateway, said.encode()))
    assert status == 404
    assert json.loads(body)["message"].startswith("Expected one of `GET /`, `GET /health`, `POST /predict`, ")


def test_encoded_slash_is_no_way_around(gateway: Gateway) -> None:
    raw = talk(gateway, b"GET /predict%2f..%2fmodels HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert_error(*parse(raw), 400)


PREDICT = ["/predict", "/v1/models/mnist:predict", "/v2/models/mnist/infer", "/v2/models/mnist/versions/1.0/infer"]
ASK = ["/", "/health", "/v1/models", "/v1/models/mnist", "/v2", "/v2/health/live", "/v2/health/ready"]
ASK += [
    "/v2/models/mnist",
    "/v2/models/mnist/ready",
    "/v2/models/mnist/versions/1.0",
    "/v2/models/mnist/versions/1.0/ready",
]


@pytest.mark.parametrize("path", PREDICT + ASK)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_each_route_has_one_method(gateway: Gateway, method: str, path: str) -> None:
    allowed = "POST" if path in PREDICT else "GET"
    response = requests.request(method, gateway.url + path, timeout=TIMEOUT)
    if method == allowed:
        assert response.status_code in (200, 400)  # an empty body is no payload
    else:
        assert_refused(response, 405, kserve=path.startswith(("/v1/", "/v2/")) or path in ("/v1", "/v2"))
        assert response.headers["Allow"] == allowed


def test_query_reaches_neither_model_nor_management(gateway: Gateway) -> None:
    url = f"{gateway.predict_url}?body=x&data=1"
    answer = requests.post(url, data=PAYLOAD, headers={"Content-Type": "application/json"}, timeout=TIMEOUT)
    assert answer.json() == predict(gateway).json()
    health = requests.get(f"{gateway.url}/health?customized=false", timeout=TIMEOUT)
    assert health.json() == {"status": "healthy", "model_loaded": True}


def test_forms_never_reach_torchserve(gateway: Gateway) -> None:
    for form in ("application/x-www-form-urlencoded", "Multipart/Form-Data; boundary=x"):
        for path in PREDICT:
            headers = {"Content-Type": form, "describe": "True"}
            answer = requests.post(gateway.url + path, data=b"%zz=", headers=headers, timeout=TIMEOUT)
            assert_refused(answer, 415, kserve=path != "/predict")
            for media_type in ("application/json", "application/octet-stream", *image_files.MEDIA_TYPES):
                assert media_type in answer.json()["message"]


@pytest.mark.parametrize(
    ("head", "status"), [(b"GET / HTTP/1.0", 200), (b"GET /health HTTP/1.0", 200), (b"OPTIONS / HTTP/1.0", 405)]
)
def test_http_1_0_is_spoken_with_old_clients(gateway: Gateway, head: bytes, status: int) -> None:
    """As nginx, HAProxy's checks and `ab` speak it, without a Host and with the connection closed at the end."""
    assert parse(talk(gateway, head + b"\r\n\r\n"))[0] == status


def test_http_1_0_predicts(gateway: Gateway) -> None:
    head = b"POST /predict HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(PAYLOAD)
    for more in (b"", b"Host: x\r\n", b"Connection: close\r\n"):
        status, headers, body = parse(talk(gateway, head + more + b"\r\n", PAYLOAD.encode()))
        assert (status, json.loads(body)) == (200, predict(gateway).json())
        assert int(headers["Content-Length"]) == len(body)


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_payload_is_read(gateway: Gateway, encoding: str, compress: Callable[[bytes], bytes]) -> None:
    for sent in (encoding, encoding.upper()):
        answer = predict(gateway, compress(PAYLOAD.encode()), headers={"Content-Encoding": sent})
        assert (answer.status_code, answer.json()) == (200, predict(gateway).json())
    plain = predict(gateway, headers={"Content-Encoding": "identity"})
    assert plain.json() == predict(gateway).json()
    levels = {"Content-Encoding": encoding, "Content-Type": "application/octet-stream"}
    assert predict(gateway, compress(bytes(784)), headers=levels).status_code == 200


def test_bomb_costs_nothing(gateway: Gateway) -> None:
    bomb = gzip.compress(b" " * 2**26)
    assert 60_000 < len(bomb) < MAX_BODY
    processes = [*gateway.family()]
    before = sum(process.memory_info().rss for process in processes)
    with ThreadPoolExecutor(32) as pool:
        headers = {"Content-Encoding": "gzip"}
        for refused in pool.map(lambda _: predict(gateway, bomb, headers=headers), range(64)):
            assert_refused(refused, 413)
    assert sum(process.memory_info().rss for process in processes) - before < 2**25


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "x-gzip", "gzip, gzip", "chunked"])
def test_other_encoding_is_told_those_that_are_read(gateway: Gateway, encoding: str) -> None:
    refused = predict(gateway, headers={"Content-Encoding": encoding})
    assert_refused(refused, 415)
    assert "`Content-Encoding` but gzip or deflate" in refused.json()["message"]


def test_end_waits_for_what_was_begun(make_gateway: MakeGateway, node: TorchServe) -> None:
    active = "http.gateway.downstream_rq_active"
    with make_gateway(node).running() as gateway, ThreadPoolExecutor(2) as pool:
        url = gateway.predict_url
        with stuck(node):
            answer = pool.submit(predict, gateway)
            wait_until(lambda: gateway.admin.stats(active).get(active) == 1, TIMEOUT)
            ended = pool.submit(gateway.stop)
            wait_until(lambda: not gateway.settings.listen.is_taken(), TIMEOUT)
            assert not ended.done()
        assert answer.result().status_code == 200
        assert answer.result().headers["Connection"] == "close"
        assert ended.result()
        with pytest.raises(requests.ConnectionError):
            requests.post(url, data=PAYLOAD, timeout=TIMEOUT)


def test_end_takes_nothing_from_the_next_that_starts(
    make_gateway: MakeGateway, node: TorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, draining, go_on = make_gateway(node), threading.Event(), threading.Event()
    again = Gateway(node, settings=first.home / "settings.toml", home=first.home)
    first.start()

    def drain() -> None:
        draining.set()
        go_on.wait(TIMEOUT)

    monkeypatch.setattr(first, "_drain", drain)
    with ThreadPoolExecutor(2) as pool:
        ended = pool.submit(first.stop)
        draining.wait(TIMEOUT)
        started = pool.submit(again.start)
        assert not wait({started}, 0.5).done, "it waits until the first has cleared away its files"
        go_on.set()
        assert ended.result()
        started.result()
    try:
        again.wait_ready()
        again.route()
    finally:
        again.stop()


def test_bad_input_is_asked_of_torchserve_once(gateway: Gateway) -> None:
    """TorchServe resets the connection after each error: no reason to send the same again."""
    before = gateway.admin.stats("cluster.inference.upstream_rq_retry", "cluster.inference.upstream_rq_total")
    statuses = [predict(gateway, "{}").status_code for _ in range(200)]
    after = gateway.admin.stats(*before)
    assert statuses == [422] * 200
    assert [int(after[name]) - int(count) for name, count in before.items()] == [0, 200]


def test_address_is_written_with_its_port() -> None:
    for text in ("127.0.0.1:8000", "[::1]:8000", "torchserve:8080"):
        assert str(Address.parse(text)) == text
