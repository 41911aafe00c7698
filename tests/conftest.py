"""Fixtures: the committed digits, servers on free ports, and the deployment that the contract tests talk to."""

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from classifier import runtime
from classifier.runtime import Runtime
from mnist_torchserve import contract, machine
from mnist_torchserve.client import digits
from mnist_torchserve.contract import Deployment
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.ports import free_ports
from mnist_torchserve.project import MODEL_STORE
from mnist_torchserve.service import Archive, TorchServe
from mnist_torchserve.training import dataset
from mnist_torchserve.training.dataset import Dataset
from tests.support import deployed, stub
from tests.support.checkout import Checkout
from tests.support.fixtures import MakeGateway, MakeServer, Sample
from tests.support.stub import Stub


def pytest_configure(config: pytest.Config) -> None:
    """Let tests ask servers of this machine, whatever proxy is set, and end them at SIGTERM as at Ctrl-C."""
    machine.reach_without_proxy()
    contract.trust_alike()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    is_first = not hasattr(config, "workerinput")  # the others are xdist's
    if is_first and (reason := deployed.complaint(os.environ)):
        raise pytest.UsageError(reason)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a file that needs a package which scripts/serve does not bring; CI has them all."""
    report = yield
    call: pytest.CallInfo[object] | None = getattr(report, "call", None)
    cause = call.excinfo.value.__cause__ if call and call.excinfo else None
    if isinstance(cause, ModuleNotFoundError) and cause.name and "CI" not in os.environ:
        package = cause.name.partition(".")[0]
        if package not in ("classifier", "mnist_handler", "mnist_torchserve", "tests"):
            report.outcome = "skipped"
            report.longrepr = (report.nodeid, 0, f"Skipped: {package} is not installed: scripts/test brings it")
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest test, which would else run alone at the end."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")


@pytest.fixture(scope="session")
def sample() -> Sample:
    """The committed test digits."""
    levels, labels = digits.sample()
    return digits.floats(levels), labels


@pytest.fixture(scope="session")
def archive() -> Archive:
    """`model_store/mnist.mar`, built if it is out of date."""
    archive = Archive()
    archive.build_if_outdated()
    return archive


@pytest.fixture(scope="session")
def make_server(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> MakeServer:
    """Make a server with our config.properties on free ports, changed by keyword; not started yet."""

    def make(model_store: Path = MODEL_STORE, **changes: str) -> TorchServe:
        return TorchServe.on_free_ports(tmp_path_factory.mktemp("server"), model_store, **changes)

    return make


@pytest.fixture
def service_stub() -> Iterator[Stub]:
    """A service that answers as it is told."""
    with stub.running() as running:
        yield running


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    """All 70,000 digits."""
    try:
        return dataset.load()
    except dataset.DatasetError as error:
        pytest.skip(f"the whole of MNIST cannot be had: {error}")


@pytest.fixture(scope="session")
def model() -> Runtime:
    """The committed weights, as a worker without a GPU runs them."""
    return runtime.load(MODEL_STORE, gpu_id=None)


@pytest.fixture
def checkout(archive: Archive, tmp_path: Path) -> Iterator[Checkout]:
    """A copy of this checkout, the built archive in it; whatever still runs in it at the end of the test is stopped."""
    copy = Checkout(tmp_path / "Prüfung mit Leerzeichen", free_ports(7))
    yield copy
    copy.close()


@pytest.fixture(scope="session")
def make_gateway(tmp_path_factory: pytest.TempPathFactory) -> MakeGateway:
    """Make a gateway before servers, as `Gateway.on_free_ports` does; not started yet."""

    def make(*servers: TorchServe, limits: dict[str, str] | None = None, **settings: object) -> Gateway:
        return Gateway.on_free_ports(tmp_path_factory.mktemp("gateway"), *servers, limits=limits, **settings)

    return make


@pytest.fixture(scope="session")
def node(make_server: MakeServer) -> Iterator[TorchServe]:
    """A TorchServe of our own, for all tests that leave it as it is."""
    with make_server().running() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(make_gateway: MakeGateway, node: TorchServe) -> Iterator[Gateway]:
    """A gateway as shipped in front of that node, for all tests of a file."""
    with make_gateway(node).running() as running:
        yield running


@pytest.fixture(scope="session")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on the path of imports, for the stubs of gRPC that the first client makes."""
    folder = tmp_path_factory.mktemp("proto")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


# A deployed service has one face, and API_ROUTES says which; ours has both.
FACES = [os.environ.get("API_ROUTES", "torchserve")] if "API_BASE_URL" in os.environ else ["torchserve", "gateway"]


@pytest.fixture(scope="session", params=FACES)
def deployment(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """The deployment under test: the one that the environment names, else one of our own."""
    url = os.environ.get("API_BASE_URL")
    if request.param == "gateway" and url:
        yield Deployment.gateway(url, os.environ.get("API_KEY"))
    elif request.param == "gateway":
        make_gateway, node = request.getfixturevalue("make_gateway"), request.getfixturevalue("node")
        with make_gateway(node).running() as gateway:
            yield Deployment.gateway(gateway.url)
    elif url:
        yield Deployment.torchserve(url, os.environ.get("API_MANAGEMENT_URL"))
    else:
        node = request.getfixturevalue("node")
        yield Deployment.torchserve(node.inference_url, node.management_url)
