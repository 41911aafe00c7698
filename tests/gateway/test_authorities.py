"""Certificates of a private authority: one variable tells every command whom to trust, whichever it is."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import TorchServe
from tests.support.fixtures import MakeGateway

VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(scope="module")
def secured(make_gateway: MakeGateway, node: TorchServe, certificates: Path) -> Iterator[Gateway]:
    """A gateway whose certificate was signed by a private authority."""
    paths = {"certificate": certificates / "server.pem", "private_key": certificates / "server.key"}
    with make_gateway(node, **{name: str(path) for name, path in paths.items()}).running() as gateway:
        yield gateway


def run(*command: str | Path, **variables: str) -> tuple[int, str]:
    """A command's exit code and all that it says, where only these variables name authorities."""
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=inherited | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=100,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("variable", [*VARIABLES, None])
def test_authority_is_trusted_by_all_or_missed_by_name(
    secured: Gateway, certificates: Path, tmp_path: Path, variable: str | None
) -> None:
    trusted = {variable: str(certificates / "ca.pem")} if variable else {}
    code, said = run("scripts/predict", "--url", secured.url, "docs/seven.json", **trusted)
    assert code == (0 if variable else 1), said
    assert ("prediction  7" if variable else f"certificate of {secured.predict_url} is not trusted here") in said

    files: list[str | Path] = ["--results", tmp_path / "results", "--history", tmp_path / "history.jsonl"]
    load = ["--profile", "ci", "--run-time", "2", "--host", secured.url, "--routes", "gateway"]
    code, said = run("scripts/loadtest", *files, *load, **trusted)
    if variable:
        assert "PASS  POST /predict failure ratio" in said
    else:
        assert code == 2, said
        assert said.startswith(f"The certificate of {secured.url} is not trusted here: ")
        assert "Traceback" not in said
