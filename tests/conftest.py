"""Fixtures: the committed digits, servers on free ports, and the service that the contract tests talk to."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import digits
import model_archive
import numpy as np
import pytest
from checkout import Checkout
from contract import Service
from environment import ROOT
from gateway import Gateway, node_of
from numpy.typing import NDArray
from ports import free_ports
from server import CONFIG, Server, config_on_free_ports, read_properties

MakeServer = Callable[..., Server]
MakeGateway = Callable[..., Gateway]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest test, which would else run alone at the end."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")


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
        return Server(config_on_free_ports(home, read_properties(CONFIG), **changes), home, model_store)

    return make


@pytest.fixture
def checkout(archive: Path, tmp_path: Path) -> Iterator[Checkout]:
    """A copy of this checkout, the built archive in it; whatever still runs in it at the end of the test is stopped."""
    copy = Checkout(tmp_path / "Prüfung mit Leerzeichen", free_ports(7))
    yield copy
    copy.close()


@pytest.fixture(scope="session")
def make_gateway(tmp_path_factory: pytest.TempPathFactory) -> MakeGateway:
    """Make a gateway before servers, on free ports, its settings given by keyword; not started yet.

    `limits` are changes to envoy.yaml: a piece of its text, and what stands there instead.
    """

    def make(*servers: Server, limits: dict[str, str] | None = None, **settings: str) -> Gateway:
        home = tmp_path_factory.mktemp("gateway")
        template = (ROOT / "deploy" / "gateway" / "envoy.yaml").read_text()
        for usual, changed in (limits or {}).items():
            assert template.count(usual) == 1, f"{usual!r} is to be there once"
            template = template.replace(usual, changed)
        (home / "template.yaml").write_text(template)
        listen, metrics = free_ports(2)
        settings = {"listen": f"127.0.0.1:{listen}", "metrics": f"127.0.0.1:{metrics}", **settings}
        file = home / "settings.toml"
        file.write_text("\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items()))
        return Gateway([node_of(server) for server in servers], file, home / "template.yaml", home)

    return make


@pytest.fixture(scope="session")
def node(make_server: MakeServer) -> Iterator[Server]:
    """A TorchServe of our own, for all tests that leave it as it is."""
    with make_server().running() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(make_gateway: MakeGateway, node: Server) -> Iterator[Gateway]:
    """A gateway as shipped in front of that node, for all tests of a file."""
    with make_gateway(node).running() as running:
        yield running


# A deployed service has one face, and API_ROUTES says which; ours has both.
FACES = [os.environ.get("API_ROUTES", "torchserve")] if "API_BASE_URL" in os.environ else ["torchserve", "gateway"]


@pytest.fixture(scope="session", params=FACES)
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """The service under test: the deployed one that the environment names, else one of our own."""
    url = os.environ.get("API_BASE_URL")
    if request.param not in ("torchserve", "gateway"):
        raise pytest.UsageError(f"Expected `torchserve` or `gateway` in API_ROUTES, got `{request.param}`.")
    if request.param == "gateway" and url:
        yield Service.gateway(url, os.environ.get("API_KEY"))
    elif request.param == "gateway":
        make_gateway, node = request.getfixturevalue("make_gateway"), request.getfixturevalue("node")
        with make_gateway(node).running() as gateway:
            yield Service.gateway(gateway.url)
    elif url:
        yield Service.torchserve(url, os.environ.get("API_MANAGEMENT_URL"))
    else:
        node = request.getfixturevalue("node")
        yield Service.torchserve(node.inference_url, node.management_url)
