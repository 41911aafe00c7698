"""The model that scripts/loadtest asks for, on any machine."""

from typing import Any

import pytest
from mnist_torchserve import contract
from mnist_torchserve.commands.loadtest import find_target, parse
from tests.support import stub


@pytest.mark.parametrize(("told", "model"), [({"model": {"name": "awesome"}}, "awesome"), ({}, "mnist")])
@pytest.mark.parametrize("given", ["", "mine"])
def test_model_of_another_machine_is_found_out(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], model: str, given: str
) -> None:
    monkeypatch.setenv("API_MODEL", given)
    answer = {"prediction": 7, "confidence": 0.9, **told}
    with stub.running(lambda *_: (200, answer)) as service:
        monkeypatch.setattr("sys.argv", ["loadtest", "--host", service.url])
        find_target(parse())
    assert contract.model() == (given or model)
