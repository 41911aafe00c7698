"""What the suite says of an API_BASE_URL that it cannot use."""

import os
import subprocess
import sys

import pytest
from mnist_torchserve.project import ROOT
from tests.support import deployed
from tests.support.stub import Stub


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "localhost:8000", "localhost", "//127.0.0.1:8080", "ftp://x", "http://", ""]
)
def test_url_without_its_scheme_is_named(url: str) -> None:
    said = deployed.complaint({"API_BASE_URL": url}) or ""
    assert "Expected a URL like `http://127.0.0.1:8080` in API_BASE_URL" in said
    assert f"got `{url}`" in said


def test_gateway_without_its_routes_is_named(service_stub: Stub) -> None:
    said = deployed.complaint({"API_BASE_URL": f"{service_stub.url}/"}) or ""
    assert "set API_ROUTES=gateway" in said
    assert deployed.complaint({"API_BASE_URL": service_stub.url, "API_ROUTES": "gateway"}) is None


def test_torchserve_by_a_gateways_routes_is_named(service_stub: Stub) -> None:
    service_stub.answers = {"/ping": {"status": "Healthy"}}
    said = deployed.complaint({"API_BASE_URL": service_stub.url, "API_ROUTES": "gateway"}) or ""
    assert "leave out API_ROUTES" in said
    assert deployed.complaint({"API_BASE_URL": service_stub.url}) is None


def test_unknown_routes_are_named() -> None:
    assert "got `envoy`" in (deployed.complaint({"API_ROUTES": "envoy"}) or "")
    assert deployed.complaint({}) is None


def test_suite_ends_with_one_sentence() -> None:
    command = [sys.executable, "-m", "pytest", "tests/test_api.py", "-q"]
    environment = os.environ | {"API_BASE_URL": "127.0.0.1:8080"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    [sentence] = (ended.stdout + ended.stderr).strip().splitlines()
    assert "in API_BASE_URL, with its scheme, got `127.0.0.1:8080`." in sentence
