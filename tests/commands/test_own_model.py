"""A model of somebody's own in the commands: started by hand or by a script, and replaced by its new archive."""

import json
import shutil
from collections.abc import Iterator

import pytest
import yaml
from mnist_torchserve.waiting import wait_until
from tests.support.checkout import Checkout
from tests.support.workers import is_well

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.fixture
def with_model(checkout: Checkout) -> Iterator[Checkout]:
    """A checkout with the model `numerals`, whose classes have names."""
    contents, handler = checkout.root / "models" / "numerals" / "archive", checkout.root / "handler"
    contents.mkdir(parents=True)
    shutil.copy(checkout.root / "model_store" / "mnist.onnx", contents / "numerals.onnx")
    shutil.copy(handler / "golden_example.json", contents)
    settings = yaml.safe_load((handler / "model-config.yaml").read_text())
    settings["handler"]["pictures"] = "plain"
    (contents / "model-config.yaml").write_text(yaml.safe_dump(settings))
    (contents / "index_to_name.json").write_text(json.dumps({str(number): name for number, name in enumerate(NAMES)}))
    assert checkout.run("scripts/archive --name numerals").endswith("Serve it:\n  scripts/serve --model numerals\n")
    yield checkout
    checkout.run("torchserve --stop")


def test_commands_follow_what_was_started_by_hand(with_model: Checkout) -> None:
    shutil.copy(with_model.root / "model_store" / "mnist.mar", with_model.root / "model_store" / "other.mar")
    with_model.run("torchserve --start --ncs --model-store model_store --models a=other.mar numerals=numerals.mar")
    wait_until(lambda: is_well(with_model.server, "numerals") and is_well(with_model.server, "a"), 60)
    status = with_model.run("scripts/status --seconds 1")
    assert "● healthy" in status
    assert "numerals" in status
    assert "mnist" not in status
    url = f"{with_model.server.inference_url}/predictions/numerals"
    shown = with_model.run(f"scripts/predict --url {url} docs/seven.json")
    assert "prediction  7 (seven)" in shown
    assert "seven ████" in shown
    shown = with_model.run("scripts/predict docs/seven.json")
    assert "prediction  7" in shown
    assert "(seven)" not in shown, "the first has no names"
    with_model.run("torchserve --stop")
    assert "No service runs here" in with_model.run("scripts/predict docs/seven.json", code=1)


def test_each_command_names_the_one_that_serves_a_new_archive(with_model: Checkout) -> None:
    with_model.run("scripts/serve --model numerals --detach")
    anew = "scripts/stop\n  scripts/serve --model numerals"
    assert with_model.run("scripts/archive --name numerals").endswith(f"Serve it:\n  {anew}\n")
    assert "`scripts/stop` and `scripts/serve --model numerals`" in with_model.run("scripts/update", code=1)
    output = with_model.run("scripts/serve --model mnist --gateway --detach", code=1)
    assert output.startswith("TorchServe is already running and serves numerals, not mnist: stop it with scripts/stop")
    assert with_model.gateway.process() is None
    with_model.run("scripts/serve --model numerals --gateway --detach")
    names = with_model.root / "models" / "numerals" / "archive" / "index_to_name.json"
    names.write_text(names.read_text().replace("seven", "sieben"))
    assert with_model.run("scripts/archive --name numerals").endswith("Serve it:\n  scripts/update\n")
    assert "scripts/update replaces" in with_model.run("scripts/serve --model numerals --gateway --detach", code=1)
    with_model.run("scripts/update")
    assert "prediction  7 (sieben)" in with_model.run("scripts/predict docs/seven.json")
