"""Who may use the gateway, by which key and certificate, and what it writes of them."""

import datetime
import json
import shutil
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import requests
from mnist_torchserve.contract import MAX_BODY, TIMEOUT
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.gateway.configuration import validate
from mnist_torchserve.gateway.settings import SettingsError, load
from mnist_torchserve.service import TorchServe
from mnist_torchserve.waiting import wait_until
from tests.support.checkout import Checkout
from tests.support.fixtures import MakeGateway
from tests.support.gateway_client import PAYLOAD, assert_refused, predict
from tests.support.secrets import write_secret

OLD, NEW = "old-key-1234567890", "new-key-1234567890"


def line_of(gateway: Gateway, request_id: str) -> dict[str, Any]:
    """A request's line in the access log, which Envoy writes in its own time."""

    def find() -> dict[str, Any] | None:
        lines = map(json.loads, gateway.access_log.read_text().splitlines())
        return next((line for line in lines if line["id"] == request_id), None)

    return wait_until(find, TIMEOUT) or {}


def test_keys_are_asked_for_and_rotated_without_an_interruption(
    make_gateway: MakeGateway, node: TorchServe, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    write_secret(keys, f"# the first client\n{OLD}\n")
    with make_gateway(node, keys=str(keys)).running() as gateway:
        assert requests.get(f"{gateway.url}/health", timeout=TIMEOUT).status_code == 200
        for wrong in (None, "", "guess", OLD[:-1], OLD + "0", OLD.upper(), f"{OLD},{NEW}", "# the first client"):
            refused = predict(gateway, key=wrong)
            assert refused.status_code == 401
            assert refused.json()["type"] == "UnauthorizedException"
            assert "x-api-key" in refused.headers["WWW-Authenticate"]
        for path in ("/v1/models/mnist:predict", "/v2/models/mnist/infer", "/v2/models/mnist/versions/1.0/infer"):
            for size in (0, MAX_BODY + 1):  # as one image, or as several: each route asks
                assert_refused(requests.post(gateway.url + path, b" " * size, timeout=TIMEOUT), 401, kserve=True)
        assert predict(gateway, headers={"Content-Encoding": "gzip"}).status_code == 401
        with requests.Session() as kept:  # one connection throughout

            def old_key_works() -> bool:
                status = predict(gateway, key=OLD, session=kept).status_code
                assert status in (200, 401)
                return status == 200

            assert old_key_works()
            keys.write_text(f"{OLD}\n{NEW}\n")
            gateway.route()
            assert old_key_works()
            assert predict(gateway, key=NEW).status_code == 200
            keys.write_text(f"{NEW}\n")
            gateway.route()
            assert not old_key_works()
            assert predict(gateway, key=NEW).status_code == 200
            keys.write_text("short\n")
            with pytest.raises(ServiceError, match="Expected at least 16 ASCII characters"):
                gateway.route()
            keys.write_text(f"{NEW}\n")  # for this test to ask with; the gateway is not told
            assert predict(gateway, key=NEW).status_code == 200
        predict(gateway, key=NEW, headers={"x-request-id": "the-last"})
        line_of(gateway, "the-last")
        for log in gateway.logs.iterdir():
            assert OLD not in log.read_text()
            assert NEW not in log.read_text()
        assert not any(NEW in log.read_text() for log in node.logs.iterdir())


def test_request_id_is_kept_or_made_and_logged_with_the_request(make_gateway: MakeGateway, node: TorchServe) -> None:
    with make_gateway(node).running() as gateway:
        mine = predict(gateway, headers={"x-request-id": 'quoted " id'})
        made = predict(gateway)
        lost = requests.get(f"{gateway.url}/secret?key={OLD}", headers={"x-request-id": "lost"}, timeout=TIMEOUT)
        assert mine.headers["x-request-id"] == 'quoted " id'
        assert len(made.headers["x-request-id"]) == 36
        line = line_of(gateway, 'quoted " id')
        assert line["route"] == "predict"
        assert line["method"] == "POST"
        assert line["status"] == 200
        assert line["bytes_received"] == len(PAYLOAD)
        assert line["bytes_sent"] == len(mine.content)
        assert 0 <= line["upstream_ms"] <= line["duration_ms"] <= mine.elapsed.total_seconds() * 1000 + 1
        assert line["node"] == node.inference_url.removeprefix("http://")
        now = datetime.datetime.now(datetime.UTC)
        assert abs(now - datetime.datetime.fromisoformat(line["time"])) < datetime.timedelta(minutes=1)
        assert line_of(gateway, made.headers["x-request-id"])["status"] == 200
        assert lost.status_code == 404
        assert line_of(gateway, "lost")["route"] == "not_found"
        assert OLD not in gateway.access_log.read_text()


def handshake(gateway: Gateway, context: ssl.SSLContext) -> tuple[str | None, Any]:
    """TLS version and the name in the certificate of a new connection that got an answer."""
    listen = gateway.settings.listen
    with (
        socket.create_connection(listen, TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=listen.host) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        certificate: Any = connection.getpeercert()
        return connection.version(), certificate["subject"][0][0][1]


def test_tls_is_new_and_its_certificate_renewed_without_an_interruption(
    make_gateway: MakeGateway, node: TorchServe, certificates: Path, tmp_path: Path
) -> None:
    for kind in ("pem", "key"):
        shutil.copy(certificates / f"server.{kind}", tmp_path / f"used.{kind}")
    settings = {"certificate": str(tmp_path / "used.pem"), "private_key": str(tmp_path / "used.key")}
    with make_gateway(node, **settings).running() as gateway:
        assert gateway.url.startswith("https://")
        context = ssl.create_default_context(cafile=certificates / "ca.pem")
        assert handshake(gateway, context) == ("TLSv1.3", "server")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert handshake(gateway, context) == ("TLSv1.2", "server")
        for kind in ("pem", "key"):
            shutil.copy(certificates / f"renewed.{kind}", tmp_path / f"used.{kind}")
        with requests.Session() as kept:
            kept.trust_env = False  # REQUESTS_CA_BUNDLE would stand above what the test says
            kept.verify = str(certificates / "ca.pem")
            assert kept.get(gateway.url, timeout=TIMEOUT).status_code == 200
            gateway.route()
            assert kept.get(gateway.url, timeout=TIMEOUT).status_code == 200
        assert handshake(gateway, context) == ("TLSv1.2", "renewed")
        with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(gateway, context)
        with pytest.raises(requests.ConnectionError):
            requests.get(gateway.url.replace("https", "http"), timeout=TIMEOUT)


def test_clients_without_a_certificate_of_the_authority_stay_outside(
    make_gateway: MakeGateway, node: TorchServe, certificates: Path
) -> None:
    settings = {
        "certificate": str(certificates / "server.pem"),
        "private_key": str(certificates / "server.key"),
        "client_authority": str(certificates / "ca.pem"),
    }
    with make_gateway(node, **settings).running() as gateway:
        context = ssl.create_default_context(cafile=certificates / "ca.pem")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(gateway, context)
        context.load_cert_chain(certificates / "stranger.pem", certificates / "stranger.key")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(gateway, context)
        context = ssl.create_default_context(cafile=certificates / "ca.pem")
        context.load_cert_chain(certificates / "client.pem", certificates / "client.key")
        assert handshake(gateway, context)[0] == "TLSv1.3"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ('lissten = "127.0.0.1:8000"', "unknown field `lissten`"),
        ("listen = 8000", r"Expected `str`, got `int` - at `\$.listen`"),
        ('listen = "8000"', 'Expected an address like "127.0.0.1:8000" .*, got "8000"'),
        ('listen = "::1:8000"', r'or "\[::1\]:8000", got "::1:8000"'),
        ('listen = "[no::one::knows]:8000"', "Expected an IPv6 address in the brackets"),
        ('listen = "127.0.0.1:99999"', "Expected an address like"),
        ('metrics = "nobody.invalid:8001"', 'No address is known here for the name "nobody.invalid"'),
        ('listen = "0.0.0.0:8000"', "which other machines reach, and there are no keys"),
        ('listen = "[::]:8000"', "which other machines reach, and there are no keys"),
        ('keys = "FOLDER/absent"', "No such file.*absent"),
        ('keys = "FOLDER/empty"', "Expected one API key a line, got none"),
        ('keys = "FOLDER/weak"', "at least 16 ASCII characters without spaces as an API key, key 2 is not that"),
        (f'keys = "{Path(__file__)}"', "could be committed"),
        ('keys = "FOLDER/open"', r"Other users .* can read .*/open \(mode 644\): run `chmod 600 .*/open`"),
        ('private_key = "FOLDER/open"', r"Other users .* can read .*/open \(mode 644\)"),
        ('certificate = "FOLDER/good"', "PEM file with a certificate"),
        ('nodes = [{inference = "10.0.0.1:8080"}]', "missing required field `management`"),
        ("rate_limit_client = 0", r"Expected `int` >= 1 - at `\$.rate_limit_client`"),
        ("rate_limit_all = 1.5", r"Expected `int`, got `float` - at `\$.rate_limit_all`"),
        ("trusted_proxies = -1", r"Expected `int` >= 0 - at `\$.trusted_proxies`"),
        ("threads = true", r"Expected `int`, got `bool` - at `\$.threads`"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: str, reason: str, tmp_path: Path) -> None:
    write_secret(tmp_path / "good", OLD)
    write_secret(tmp_path / "empty", "# none yet\n")
    write_secret(tmp_path / "weak", f"{OLD}\npassword\n")
    write_secret(tmp_path / "open", OLD).chmod(0o644)
    file = tmp_path / "settings.toml"
    file.write_text(settings.replace("FOLDER", str(tmp_path)))
    with pytest.raises(SettingsError, match=reason) as refusal:
        load(file)
    assert str(file) in str(refusal.value)
    assert OLD not in str(refusal.value)


@pytest.mark.parametrize("more", ['keys = "FOLDER/good"', "without_keys = true"])
def test_other_machines_may_come_with_a_key_or_by_permission(more: str, tmp_path: Path) -> None:
    write_secret(tmp_path / "good", OLD)
    file = tmp_path / "settings.toml"
    file.write_text('listen = "0.0.0.0:8000"\n' + more.replace("FOLDER", str(tmp_path)))
    assert load(file).listen == ("0.0.0.0", 8000)  # noqa: S104 - nothing is bound


def test_configuration_is_validated_in_its_own_folder(tmp_path: Path) -> None:
    envoy = tmp_path / "envoy"
    envoy.write_text('#!/bin/sh\nfor file; do :; done\nstat -c "%a %n" "$file" > "$(dirname "$0")/seen"\n')
    envoy.chmod(0o700)
    folder = tmp_path / "configuration"
    folder.mkdir()
    validate(str(envoy), {"key": OLD}, folder)
    mode, _, file = (tmp_path / "seen").read_text().strip().partition(" ")
    assert (mode, Path(file).parent) == ("600", folder), "where this is killed, no other user sees the keys"
    assert list(folder.iterdir()) == []


def test_nothing_is_started_that_strangers_could_use(checkout: Checkout) -> None:
    settings = checkout.root / "deploy" / "gateway" / "settings.toml"
    settings.write_text(settings.read_text().replace("127.0.0.1:", "0.0.0.0:"))
    output = checkout.run("scripts/serve --gateway --detach", code=1)
    assert "name a file of API keys in `keys`, or allow everybody with `without_keys = true`" in output
    assert "Traceback" not in output
    assert checkout.server.process() is None
