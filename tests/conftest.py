"""Fixtures: the committed digits, servers on free ports, and the service that the contract tests talk to."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import digits
import model_archive
import numpy as np
import pytest
import server
from checkout import Checkout
from contract import Service
from numpy.typing import NDArray
from server import Server

MakeServer = Callable[..., Server]


@pytest.fixture(scope="session")
def sample() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The committed test digits: pixels (500, 784) in 0..1, labels (500,)."""
    pixels, labels = digits.sample()
    return pixels.astype(np.float32) / np.float32(255), labels


@pytest.fixture(scope="session")
def archive() -> Path:
    """`model_store/mnist.mar`, built if it is out of date."""
    if not model_archive.is_current():
        model_archive.build()
    return model_archive.ARCHIVE


@pytest.fixture(scope="session")
def make_server(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeServer:
    """Make a server with our config.properties on free ports, changed by keyword; not started yet."""

    def make(model_store: Path = archive.parent, **changes: str) -> Server:
        home = tmp_path_factory.mktemp("server")
        settings = server.read_properties(server.CONFIG)
        return Server(server.config_on_free_ports(home, settings, **changes), home, model_store)

    return make


@pytest.fixture
def checkout(archive: Path, tmp_path: Path) -> Iterator[Checkout]:
    """A copy of this checkout, the built archive in it; whatever still runs in it at the end of the test is stopped."""
    copy = Checkout(tmp_path / "Prüfung mit Leerzeichen", server.free_ports(5))
    yield copy
    copy.close()


@pytest.fixture(scope="session")
def service(make_server: MakeServer) -> Iterator[Service]:
    """The service under test: the deployed one that the environment names, else one of our own."""
    with ExitStack() as stack:
        if "API_BASE_URL" in os.environ:
            yield Service.torchserve(os.environ["API_BASE_URL"], os.environ.get("API_MANAGEMENT_URL"))
        else:
            own = stack.enter_context(make_server().running())
            yield Service.torchserve(own.inference_url, own.management_url)
