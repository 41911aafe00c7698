"""Several models behind one gateway: each has its routes, and the first is what `/predict` means."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from mnist_torchserve.contract import TIMEOUT
from mnist_torchserve.gateway import Gateway, configuration
from mnist_torchserve.gateway.settings import load
from mnist_torchserve.service import TorchServe
from tests.support import stub
from tests.support.gateway_client import assert_refused
from tests.support.secrets import write_secret

KEY = "0123456789abcdef"
LONG = "x" * 64  # the most that TorchServe's and our own routes allow
NAMES = {
    "one letter": ["a"],
    "14 letters": ["MyAwesomeModel"],
    "64 letters": [LONG],
    "thirty": [f"{number:02}_{LONG[3:]}" for number in range(30)],
}
JSON = {"Content-Type": "application/json"}


def routes(tmp_path: Path, *models: str) -> list[dict[str, Any]]:
    settings = tmp_path / "settings.toml"
    settings.touch()
    config = configuration.derive(configuration.TEMPLATE, load(settings), [], models, tmp_path / "admin")
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][-1]["typed_config"]
    [host] = manager["route_config"]["virtual_hosts"]
    found: list[dict[str, Any]] = host["routes"]
    return found


def test_nothing_is_left_of_the_template_and_health_is_the_firsts(tmp_path: Path) -> None:
    found = routes(tmp_path, "fashion", "awesome")
    text = yaml.safe_dump(found)
    assert "MODEL" not in text
    assert "/mnist" not in text
    [health] = [route for route in found if route["name"] == "health"]
    assert health["route"]["path_rewrite"].startswith("/models/fashion?")


def test_one_model_has_the_routes_of_the_template(tmp_path: Path) -> None:
    manager = yaml.safe_load(configuration.TEMPLATE.read_text())["static_resources"]["listeners"][0]
    [host] = manager["filter_chains"][0]["filters"][-1]["typed_config"]["route_config"]["virtual_hosts"]
    ours = routes(tmp_path, "MODEL")
    assert [route["match"] for route in ours if "demo" not in str(route["match"])] == [
        route["match"] for route in host["routes"]
    ]


@pytest.mark.parametrize("models", NAMES.values(), ids=NAMES)
def test_any_name_and_number_of_models_is_routed(tmp_path: Path, models: Sequence[str]) -> None:
    write_secret(tmp_path / "keys", KEY)
    small, large = b"{}", b" " * 100_000
    with stub.running(lambda path, _: (200, {"asked": path})) as node, requests.Session() as session:
        (tmp_path / "config.properties").write_text(f"inference_address={node.url}\nmanagement_address={node.url}\n")
        server = TorchServe(tmp_path / "config.properties", tmp_path, models=models)
        with Gateway.on_free_ports(tmp_path / "gateway", server, keys=str(tmp_path / "keys")).running() as gateway:

            def ask(method: str, path: str, body: bytes | None = None, **headers: str) -> requests.Response:
                sent = {"x-api-key": KEY, **JSON, **{name.replace("_", "-"): each for name, each in headers.items()}}
                return session.request(method, gateway.url + path, data=body, headers=sent, timeout=TIMEOUT)

            assert ask("GET", "/v1/models").json() == {"models": models}
            assert ask("GET", "/v2/health/ready").json() == {"name": models[0], "ready": True}
            assert ask("POST", "/predict", small).json() == {"asked": f"/predictions/{models[0]}"}
            for model in models:
                version = f"/v2/models/{model}/versions/1.0"
                for path in (f"/v1/models/{model}", f"/v2/models/{model}/ready", f"{version}/ready"):
                    assert ask("GET", path).json() == {"name": model, "ready": True}
                for path in (f"/v2/models/{model}", version):
                    assert ask("GET", path).json()["name"] == model
                    assert_refused(ask("POST", path, small), 405, kserve=True)
                for path in (f"/v1/models/{model}:predict", f"/v2/models/{model}/infer", f"{version}/infer"):
                    for body in (small, large):
                        assert ask("POST", path, body).json() == {"asked": f"/predictions/{model}"}
                        assert_refused(ask("POST", path, body, x_api_key="wrong"), 401, kserve=True)
                    assert_refused(ask("POST", path, small, Content_Type="multipart/form-data"), 415, kserve=True)
                    assert_refused(ask("GET", path), 405, kserve=True)
            for path in ("/v1/models/nosuch", f"/v2/models/{models[0]}y/infer", f"/v1/models/{models[0]}y:predict"):
                refused = ask("POST", path, small)
                assert_refused(refused, 404, kserve=True)
                expected = f"Expected one of the models {json.dumps(models)}, got `POST {path}`. Correct the path."
                assert refused.json()["message"] == expected
