"""Certificates, for the gateway's TLS."""

import subprocess
from pathlib import Path

import pytest
from tests.support import programs


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority `ca`, and signed by it `server`, `renewed` and `client`; and a `stranger` that signed itself."""
    openssl = programs.installed("openssl")
    folder = tmp_path_factory.mktemp("certificates")

    def make(name: str, *options: str) -> None:
        command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "1", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem", *options]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    make("ca", "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # without it Python 3.13 refuses the authority
    make("stranger")
    for name in ("server", "renewed", "client"):
        address = "subjectAltName=IP:127.0.0.1"
        plain = "basicConstraints=critical,CA:FALSE"
        make(name, "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", address, "-addext", plain)
    return folder
