"""Ways into the server that its settings close: each is tried where it is closed, and where it stands open."""

import json
import pickle
import stat
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from classifier import runtime
from mnist_torchserve.contract import TIMEOUT, Deployment, blank
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.ports import free_ports
from mnist_torchserve.service import Archive, TorchServe, read_properties, torchserve
from mnist_torchserve.waiting import wait_until
from tests.support import intruder
from tests.support.fixtures import MakeServer
from tests.support.intruder import Intruder
from tests.support.workers import stuck

Try = Callable[[Intruder, TorchServe], None]

WAYS: list[Try] = [Intruder.model_by_url, Intruder.model_by_file_url, Intruder.model_by_directory]
WAYS += [Intruder.model_by_grpc, Intruder.workflow_by_url, Intruder.workflow_by_file_url]
SECRET = "hunter2-hunter2"
QUEUE = 8  # in place of 1000, which nobody wants to fill


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intruder]:
    with intruder.at_work(tmp_path_factory.mktemp("intruder")) as at_work:
        yield at_work


@pytest.fixture(scope="module")
def store(archive: Archive, stranger: Intruder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store with our archive, which asks for a package that there is not, and with the intruder's beside it."""
    folder = tmp_path_factory.mktemp("store")
    manifest = "MAR-INF/MANIFEST.json"

    def with_requirements(usual: bytes) -> bytes:
        said = json.loads(usual)
        said["model"]["requirementsFile"] = "requirements.txt"
        return json.dumps(said).encode()

    archive.copy(folder, {manifest: with_requirements})
    with zipfile.ZipFile(folder / "mnist.mar", "a") as copy:
        copy.writestr("requirements.txt", "./no-such-package\n")
    (folder / "model.mar").write_bytes((stranger.site / "model.mar").read_bytes())
    return folder


@pytest.fixture(scope="module", autouse=True)
def shell() -> Iterator[None]:
    """What the user's shell has set: a secret, and settings of TorchServe, which are passed on for once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_PASSWORD", SECRET)
        patch.setenv("TS_ENABLE_MODEL_API", "true")
        patch.setattr(torchserve, "PASSED_ON", (*torchserve.PASSED_ON, "TS_ENABLE"))
        yield


@pytest.fixture(scope="module")
def closed(make_server: MakeServer, store: Path) -> Iterator[TorchServe]:
    """Our settings."""
    with make_server(store, job_queue_size=str(QUEUE)).running() as server:
        yield server


@contextmanager
def without_models(make_server: MakeServer, store: Path, **changes: str) -> Iterator[TorchServe]:
    """A server that is up at once, as it has nothing to load."""
    quick = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
    server = make_server(store, load_models="none", vmargs=quick, **changes)
    server.start()
    try:
        wait_until(lambda: server.addresses[2].is_taken(), TIMEOUT)
        yield server
    finally:
        kill(server)


def kill(server: TorchServe) -> None:
    """End a server that has nothing to finish, at once."""
    family = server.family()
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family)
    server.stop()  # what it has left


@pytest.fixture(scope="module")
def opened(make_server: MakeServer, store: Path) -> Iterator[TorchServe]:
    """The same with the settings that close doors turned round, and one port for inference and management."""
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    changes = {
        "inference_address": address,
        "management_address": address,
        "enable_model_api": "true",
        "allowed_urls": "file://.*|http(s)?://.*",
        "install_py_dep_per_model": "true",
    }
    with without_models(make_server, store, **changes) as server:
        yield server


@pytest.fixture
def outside(stranger: Intruder, store: Path) -> Intruder:
    """The intruder before he has tried anything."""
    stranger.leave()
    for copy in {*store.iterdir()} - {store / "mnist.mar", store / "model.mar"}:
        copy.unlink()
    (store / "model.mar").unlink(missing_ok=True)
    return stranger


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.__name__))
def test_nobody_brings_his_own_code(outside: Intruder, closed: TorchServe, way: Try) -> None:
    way(outside, closed)
    assert not outside.is_in


@pytest.mark.parametrize("way", [Intruder.model_by_url, Intruder.model_by_grpc], ids=lambda way: str(way.__name__))
def test_with_the_doors_open_he_does(outside: Intruder, opened: TorchServe, way: Try) -> None:
    way(outside, opened)
    assert outside.is_in
    at_the_port_of_predictions = f"{opened.inference_url}/models/intruder"
    assert requests.delete(at_the_port_of_predictions, timeout=TIMEOUT).status_code == 200


@pytest.mark.parametrize(
    ("line", "way"),
    [
        ({"enable_model_api": "true"}, Intruder.model_by_directory),
        ({"allowed_urls": "http://.*"}, Intruder.workflow_by_url),
        ({"enable_envvars_config": "true"}, Intruder.model_by_directory),
    ],
    ids=["enable_model_api", "allowed_urls", "enable_envvars_config"],
)
def test_each_line_alone_would_let_him_in(
    outside: Intruder, make_server: MakeServer, store: Path, line: dict[str, str], way: Try
) -> None:
    with without_models(make_server, store, **line) as server:
        way(outside, server)
    assert outside.is_in


@pytest.mark.parametrize("path", ["../site/model.mar", "..%2fsite/model.mar", "file:///x/../site/model.mar"])
def test_paths_upwards_are_refused_wherever_the_doors_stand(outside: Intruder, opened: TorchServe, path: str) -> None:
    for kind in ("models", "workflows"):
        answer = requests.post(f"{opened.management_url}/{kind}?url={path}", timeout=TIMEOUT)
        assert answer.status_code in (400, 404)
    assert not outside.is_in


def test_only_our_model_is_loaded(stranger: Intruder, closed: TorchServe) -> None:
    """The store holds another one, whose code would have run by now."""
    models = requests.get(f"{closed.management_url}/models", timeout=TIMEOUT).json()["models"]
    assert [model["modelName"] for model in models] == ["mnist"]
    assert not stranger.is_in


def test_archive_installs_no_packages(closed: TorchServe, opened: TorchServe) -> None:
    assert Deployment.torchserve(closed.inference_url, None).predict_json(blank()).status_code == 200
    refused = requests.post(f"{opened.management_url}/models?url=mnist.mar", timeout=TIMEOUT)
    assert refused.status_code == 400
    assert "Custom pip package installation failed" in refused.json()["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/models/mnist"),
        ("DELETE", "/models/mnist/1.0"),
        ("PUT", "/models/mnist?min_worker=0"),
        ("PUT", "/models/mnist/1.0/set-default"),
        ("POST", "/models?url=mnist.mar"),
        ("POST", "/workflows?url=mnist.war"),
        ("GET", "/models"),
    ],
)
def test_models_are_managed_at_the_management_port_alone(closed: TorchServe, method: str, path: str) -> None:
    before = closed.workers()
    for url in (closed.inference_url, closed.metrics_url):
        assert requests.request(method, url + path, timeout=TIMEOUT).status_code in (404, 405)
    assert closed.workers() == before


def test_management_port_of_ours_removes_nothing(closed: TorchServe) -> None:
    for path in ("/models/mnist", "/models/mnist/1.0"):
        assert requests.delete(closed.management_url + path, timeout=TIMEOUT).status_code == 405


def test_nothing_is_reached_from_another_machine(closed: TorchServe) -> None:
    ours = read_properties()  # the tests' servers have ports, and so addresses, of their own
    http = {urlsplit(ours[f"{api}_address"]).hostname for api in ("inference", "management", "metrics")}
    assert http | {ours[f"grpc_{api}_address"] for api in ("inference", "management")} == {"127.0.0.1"}
    family = closed.family()
    listening = [c.laddr for p in family for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert sorted(address.port for address in listening) == sorted(address.port for address in closed.addresses)
    addresses = [a.address for card in psutil.net_if_addrs().values() for a in card if a.family.name == "AF_INET"]
    others = [address for address in addresses if not address.startswith("127.")]
    for _, port in closed.addresses:
        for address in others:
            with pytest.raises(requests.ConnectionError, match="refused"):
                requests.get(f"http://{address}:{port}/", timeout=TIMEOUT)


def test_sockets_of_workers_are_in_a_folder_of_this_user_alone(closed: TorchServe) -> None:
    for worker in closed.workers():
        command = worker.cmdline()
        socket = Path(command[command.index("--sock-name") + 1])
        assert socket.is_socket()
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


def test_server_and_workers_are_told_no_secret(closed: TorchServe) -> None:
    for process in (closed.family()[0], *closed.workers()):
        told = process.environ()
        assert told["TMPDIR"]
        assert SECRET not in str(told)


def test_queue_has_an_end(closed: TorchServe) -> None:
    deployment = Deployment.torchserve(closed.inference_url, None)
    batches = 2 * 16  # which the workers take before they are asked to answer
    with ThreadPoolExecutor(100) as pool:
        with stuck(closed):
            answers = [pool.submit(deployment.predict_json, {}) for _ in range(100)]
            wait_until(lambda: sum(answer.done() for answer in answers) >= 100 - batches - QUEUE, TIMEOUT)
            assert {answer.result().status_code for answer in answers if answer.done()} == {503}
        assert {answer.result().status_code for answer in answers} == {503, 422}


def test_weights_that_are_code_are_refused_unread(
    outside: Intruder, make_server: MakeServer, archive: Archive, tmp_path: Path
) -> None:
    bomb = outside.bomb()
    archive.copy(tmp_path, dict.fromkeys(("mnist.onnx", "mnist.pt"), lambda _: bomb))
    server = make_server(tmp_path)
    server.start()
    try:
        with pytest.raises(ServiceError, match=r"mnist\.onnx is not an ONNX file"):
            server.wait_ready()
    finally:
        kill(server)
    (tmp_path / "mnist.pt").write_bytes(bomb)
    with pytest.raises(runtime.WeightsError, match=r"mnist\.pt does not hold"):
        runtime.TorchRuntime(tmp_path / "mnist.pt", "cpu")
    assert not outside.is_in
    pickle.loads(bomb).close()  # noqa: S301 - what happens to those who read it
    assert outside.is_in


def test_tokens_protect_all_but_the_metrics(make_server: MakeServer, store: Path) -> None:
    with without_models(make_server, store, disable_token_authorization="false") as server:
        asked = [f"{server.inference_url}/ping", f"{server.management_url}/models", f"{server.metrics_url}/metrics"]
        assert [requests.get(url, timeout=TIMEOUT).status_code for url in asked] == [400, 400, 200]
        keys = server.home / "key_file.json"
        assert stat.S_IMODE(keys.stat().st_mode) == 0o600
        token = json.loads(keys.read_text())["management"]["key"]
        answer = requests.get(asked[1], headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT)
        assert answer.status_code == 200
