"""Several models behind one gateway: each has its routes, and the first is what `/predict` means."""

import json
from pathlib import Path
from typing import Any

import yaml
from mnist_torchserve.gateway import configuration
from mnist_torchserve.gateway.settings import load

KEY = "0123456789abcdef"


def routes(tmp_path: Path, *models: str) -> list[dict[str, Any]]:
    keys, settings = tmp_path / "keys", tmp_path / "settings.toml"
    keys.write_text(KEY)
    keys.chmod(0o600)
    settings.write_text(f"keys = {json.dumps(str(keys))}")
    config = configuration.derive(configuration.TEMPLATE, load(settings), [], models, tmp_path / "admin")
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][-1]["typed_config"]
    [host] = manager["route_config"]["virtual_hosts"]
    found: list[dict[str, Any]] = host["routes"]
    return found


def test_each_model_has_its_routes_and_each_asks_for_keys(tmp_path: Path) -> None:
    found = routes(tmp_path, "fashion", "awesome")
    text = yaml.safe_dump(found)
    assert "MODEL" not in text
    assert "/mnist" not in text
    predict = [route for route in found if route["name"] == "predict"]
    asked = [(route["match"], route["route"].get("path_rewrite", "")) for route in predict]
    assert {path for _, path in asked if "awesome" in path} == {"/predictions/awesome"}
    assert all("fashion" in path for match, path in asked if "/predict" in (match.get("path"), match.get("prefix")))
    assert {name for name in ("fashion", "awesome") for match, _ in asked if name in str(match)} == {
        "fashion",
        "awesome",
    }
    assert all(KEY in json.dumps(route["typed_per_filter_config"]) for route in predict)
    [health] = [route for route in found if route["name"] == "health"]
    assert health["route"]["path_rewrite"].startswith("/models/fashion?")
    [listed] = [route for route in found if route["match"].get("path") == "/v1/models"]
    assert json.loads(listed["direct_response"]["body"]["inline_string"]) == {"models": ["fashion", "awesome"]}


def test_one_model_has_the_routes_of_the_template(tmp_path: Path) -> None:
    manager = yaml.safe_load(configuration.TEMPLATE.read_text())["static_resources"]["listeners"][0]
    [host] = manager["filter_chains"][0]["filters"][-1]["typed_config"]["route_config"]["virtual_hosts"]
    ours = routes(tmp_path, "MODEL")
    assert [route["match"] for route in ours if "demo" not in str(route["match"])] == [
        route["match"] for route in host["routes"]
    ]
