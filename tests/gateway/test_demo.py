"""Whom the gateway serves the page to draw on, and with which headers."""

import mimetypes
from pathlib import Path

import pytest
import requests
from mnist_torchserve.contract import TIMEOUT
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.gateway.settings import SettingsError, load
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import TorchServe
from tests.support.fixtures import MakeGateway

FOLDER = ROOT / "deploy" / "gateway" / "demo"


@pytest.mark.parametrize("path", ["", "/", "/demo.css", "/demo.js", "/reading.js", "/digits.png", "/icon.svg"])
def test_file_is_served_for_a_strict_browser(gateway: Gateway, path: str) -> None:
    answer = requests.get(f"{gateway.url}/demo{path}", timeout=TIMEOUT)
    file = FOLDER / (path.removeprefix("/") or "index.html")
    assert answer.status_code == 200
    assert answer.content == file.read_bytes()
    assert answer.headers["Content-Type"].partition(";")[0] == mimetypes.guess_type(file)[0]
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in str(policy)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    refused = requests.post(f"{gateway.url}/demo{path}", timeout=TIMEOUT)
    assert refused.status_code == 405
    assert refused.headers["Allow"] == "GET"
    assert refused.json()["code"] == 405


@pytest.mark.parametrize("path", ["/demo/nothing.js", "/demo/../deploy", "/demo.css", "/demonstration"])
def test_nothing_else_is_served(gateway: Gateway, path: str) -> None:
    assert requests.get(gateway.url + path, timeout=TIMEOUT).status_code == 404


def test_settings_turn_the_page_on_and_off(make_gateway: MakeGateway, node: TorchServe) -> None:
    with make_gateway(node, demo="never").running() as gateway:
        settings = gateway.logs.parent / "settings.toml"
        assert gateway.demo_url is None
        refused = requests.get(f"{gateway.url}/demo", timeout=TIMEOUT)
        assert refused.status_code == 404
        assert "`GET /demo` where settings.toml allows it" in refused.json()["message"]
        settings.write_text(settings.read_text().replace("never", "loopback"))
        gateway.route()
        assert requests.get(f"{gateway.url}/demo", timeout=TIMEOUT).status_code == 200


@pytest.mark.parametrize(
    ("settings", "served"),
    [
        ('listen = "127.0.0.1:8000"', True),
        ('listen = "[::1]:8000"', True),
        ('listen = "0.0.0.0:8000"\nwithout_keys = true', False),
        ('listen = "10.0.0.1:8000"\nwithout_keys = true', False),
        ('listen = "10.0.0.1:8000"\nwithout_keys = true\ndemo = "always"', True),
        ('listen = "127.0.0.1:8000"\ndemo = "never"', False),
    ],
)
def test_other_machines_are_served_it_by_permission(settings: str, served: bool, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(settings)
    assert load(tmp_path / "settings.toml").demo is served


def test_other_words_for_it_are_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('demo = "yes"')
    with pytest.raises(SettingsError, match=r"'yes' - at `\$\.demo`"):
        load(tmp_path / "settings.toml")
