"""Certificates, for the gateway's TLS; and the page to draw on, open in a browser."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mnist_torchserve.gateway import Gateway
from tests.support import programs

if TYPE_CHECKING:  # scripts/serve does not bring the browser's driver, and the other tests here do without
    from playwright.sync_api import Browser
    from mnist_torchserve.gateway.demo_page import DemoPage, OpenPage


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


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    from mnist_torchserve.gateway.demo_page import chromium  # noqa: PLC0415 - as above

    programs.installed("chromium")
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser: "Browser", gateway: Gateway) -> Iterator["OpenPage"]:
    """Open the page in a tab of its own. It shall reach for no other origin, keep its policy, and break nowhere."""
    from mnist_torchserve.gateway.demo_page import DemoPage  # noqa: PLC0415 - as above

    opened = []

    def open_(url: str | None = gateway.demo_url, **options: Any) -> "DemoPage":
        opened.append(browser.new_context(**options))
        pages.append(DemoPage(opened[-1], str(url)))
        return pages[-1]

    pages: list[DemoPage] = []
    yield open_
    for context in opened:
        context.close()
    assert [page.complaints for page in pages] == [[] for _ in pages]


@pytest.fixture
def tab(open_page: "OpenPage") -> "DemoPage":
    """The page as it opens for everybody."""
    return open_page()
