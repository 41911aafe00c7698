"""The service that scripts/chaos breaks: its model, and what is read from the gateway's log."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from mnist_torchserve.faults import testbed
from mnist_torchserve.service import properties


def test_requests_without_an_answer_are_counted_in_rotated_logs_too(tmp_path: Path) -> None:
    service = testbed.Testbed(tmp_path)
    service.gateway.logs.mkdir(parents=True)
    line = '{{"node":"x","status":{},"time":"2026-01-01T00:00:{:02}.000Z"}}\n'
    (service.gateway.logs / "access.log.1").write_text(line.format(0, 1) + line.format(0, 10) + line.format(200, 11))
    service.gateway.access_log.write_text(line.format(0, 12) + line.format(504, 13))
    assert service.dropped(datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)) == 2


def test_it_serves_mnist_whatever_is_served_and_tested_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usual = properties.read_properties()
    monkeypatch.setattr(properties, "read_properties", lambda *_: {**usual, "load_models": "awesome.mar"})
    monkeypatch.setenv("API_MODEL", "awesome")
    service = testbed.Testbed(tmp_path)
    written = (tmp_path / "node" / "config.properties").read_text()
    assert "load_models=mnist.mar" in written
    deployment = service.deployment(testbed.TORCHSERVE)
    assert deployment.predict.endswith("/predictions/mnist")
    assert str(deployment.health).endswith("/models/mnist")
