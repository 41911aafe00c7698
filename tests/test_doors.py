"""Ways into the server that its settings close: each is tried where it is closed, and where it stands open."""

import json
import pickle
import stat
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import intruder
import psutil
import pytest
import requests
import runtime
import server as server_module
from conftest import MakeServer
from contract import TIMEOUT, Service
from environment import ROOT
from intruder import Intruder
from ports import free_ports
from server import CONFIG, Server, ServerError, read_properties
from workers import stuck, workers

Try = Callable[[Intruder, Server], None]

WAYS: list[Try] = [
    Intruder.model_by_url,
    Intruder.model_by_file_url,
    Intruder.model_by_directory,
    Intruder.model_by_grpc,
    Intruder.workflow_by_url,
    Intruder.workflow_by_file_url,
]
SECRET = "hunter2-hunter2"
QUEUE = 8  # in place of 1000, which nobody wants to fill


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intruder]:
    with intruder.at_work(tmp_path_factory.mktemp("intruder")) as at_work:
        yield at_work


@pytest.fixture(scope="module")
def store(archive: Path, stranger: Intruder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store with our archive, which asks for a package that there is not, and with the intruder's beside it."""
    folder = tmp_path_factory.mktemp("store")
    manifest = "MAR-INF/MANIFEST.json"
    with zipfile.ZipFile(archive) as ours, zipfile.ZipFile(folder / archive.name, "w") as copy:
        for name in ours.namelist():
            if name != manifest:
                copy.writestr(name, ours.read(name))
        said = json.loads(ours.read(manifest))
        said["model"]["requirementsFile"] = "requirements.txt"
        copy.writestr(manifest, json.dumps(said))
        copy.writestr("requirements.txt", "./no-such-package\n")
    (folder / "model.mar").write_bytes((stranger.site / "model.mar").read_bytes())
    return folder


@pytest.fixture(scope="module", autouse=True)
def shell() -> Iterator[None]:
    """What the user's shell has set: a secret, and settings of TorchServe, which are passed on for once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_PASSWORD", SECRET)
        patch.setenv("TS_ENABLE_MODEL_API", "true")
        patch.setattr(server_module, "PASSED_ON", (*server_module.PASSED_ON, "TS_ENABLE"))
        yield


@pytest.fixture(scope="module")
def closed(make_server: MakeServer, store: Path) -> Iterator[Server]:
    """Our settings."""
    with make_server(store, job_queue_size=str(QUEUE)).running() as server:
        yield server


@contextmanager
def without_models(make_server: MakeServer, store: Path, **changes: str) -> Iterator[Server]:
    """A server that is up at once, as it has nothing to load."""
    quick = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
    server = make_server(store, load_models="none", vmargs=quick, **changes)
    server.start()
    try:
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                requests.get(f"{server.metrics_url}/metrics", timeout=TIMEOUT)
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield server
    finally:
        kill(server)


def kill(server: Server) -> None:
    """End a server that has nothing to finish, at once."""
    jvm = server.process()
    assert jvm is not None
    family = [jvm, *jvm.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family)
    server.stop()  # what it has left


@pytest.fixture(scope="module")
def opened(make_server: MakeServer, store: Path) -> Iterator[Server]:
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
def test_nobody_brings_his_own_code(outside: Intruder, closed: Server, way: Try) -> None:
    way(outside, closed)
    assert not outside.is_in


@pytest.mark.parametrize("way", [Intruder.model_by_url, Intruder.model_by_grpc], ids=lambda way: str(way.__name__))
def test_with_the_doors_open_he_does(outside: Intruder, opened: Server, way: Try) -> None:
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
def test_paths_upwards_are_refused_wherever_the_doors_stand(outside: Intruder, opened: Server, path: str) -> None:
    for kind in ("models", "workflows"):
        answer = requests.post(f"{opened.management_url}/{kind}?url={path}", timeout=TIMEOUT)
        assert answer.status_code in (400, 404)
    assert not outside.is_in


def test_only_our_model_is_loaded(stranger: Intruder, closed: Server) -> None:
    """The store holds another one, whose code would have run by now."""
    models = requests.get(f"{closed.management_url}/models", timeout=TIMEOUT).json()["models"]
    assert [model["modelName"] for model in models] == ["mnist"]
    assert not stranger.is_in


def test_archive_installs_no_packages(closed: Server, opened: Server) -> None:
    assert Service.torchserve(closed.inference_url, None).predict_json({"data": [0.0] * 784}).status_code == 200
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
def test_models_are_managed_at_the_management_port_alone(closed: Server, method: str, path: str) -> None:
    before = workers(closed)
    for url in (closed.inference_url, closed.metrics_url):
        assert requests.request(method, url + path, timeout=TIMEOUT).status_code in (404, 405)
    assert workers(closed) == before


def test_management_port_of_ours_removes_nothing(closed: Server) -> None:
    for path in ("/models/mnist", "/models/mnist/1.0"):
        assert requests.delete(closed.management_url + path, timeout=TIMEOUT).status_code == 405


def test_nothing_is_reached_from_another_machine(closed: Server) -> None:
    ours = read_properties(CONFIG)  # the tests' servers have ports, and so addresses, of their own
    http = {urlsplit(ours[f"{api}_address"]).hostname for api in ("inference", "management", "metrics")}
    assert http | {ours[f"grpc_{api}_address"] for api in ("inference", "management")} == {"127.0.0.1"}
    jvm = closed.process()
    assert jvm is not None
    family = [jvm, *jvm.children(recursive=True)]
    listening = [c.laddr for p in family for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert sorted(address.port for address in listening) == sorted(closed.ports)
    addresses = [a.address for card in psutil.net_if_addrs().values() for a in card if a.family.name == "AF_INET"]
    others = [address for address in addresses if not address.startswith("127.")]
    for port in closed.ports:
        for address in others:
            with pytest.raises(requests.ConnectionError, match="refused"):
                requests.get(f"http://{address}:{port}/", timeout=TIMEOUT)


def test_sockets_of_workers_are_in_a_folder_of_this_user_alone(closed: Server) -> None:
    for worker in workers(closed):
        command = worker.cmdline()
        socket = Path(command[command.index("--sock-name") + 1])
        assert socket.is_socket()
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


def test_server_and_workers_are_told_no_secret(closed: Server) -> None:
    jvm = closed.process()
    assert jvm is not None
    for process in (jvm, *workers(closed)):
        told = process.environ()
        assert told["TMPDIR"]
        assert SECRET not in str(told)


def test_queue_has_an_end(closed: Server) -> None:
    service = Service.torchserve(closed.inference_url, None)
    batches = 2 * 16  # which the workers take before they are asked to answer
    with ThreadPoolExecutor(100) as pool:
        with stuck(closed):
            answers = [pool.submit(service.predict_json, {}) for _ in range(100)]
            deadline = time.monotonic() + TIMEOUT
            while sum(answer.done() for answer in answers) < 100 - batches - QUEUE:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert {answer.result().status_code for answer in answers if answer.done()} == {503}
        assert {answer.result().status_code for answer in answers} == {503, 422}


def test_weights_that_are_code_are_refused_unread(
    outside: Intruder, make_server: MakeServer, archive: Path, tmp_path: Path
) -> None:
    bomb = outside.bomb()
    with zipfile.ZipFile(archive) as ours, zipfile.ZipFile(tmp_path / archive.name, "w") as copy:
        for name in ours.namelist():
            copy.writestr(name, bomb if name in ("mnist.onnx", "mnist.pt") else ours.read(name))
    server = make_server(tmp_path)
    server.start()
    try:
        with pytest.raises(ServerError, match=r"mnist\.onnx is not an ONNX file"):
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
    keys = ROOT / "key_file.json"
    with without_models(make_server, store, disable_token_authorization="false") as server:
        asked = [f"{server.inference_url}/ping", f"{server.management_url}/models", f"{server.metrics_url}/metrics"]
        assert [requests.get(url, timeout=TIMEOUT).status_code for url in asked] == [400, 400, 200]
        assert stat.S_IMODE(keys.stat().st_mode) == 0o600
        token = json.loads(keys.read_text())["management"]["key"]
        answer = requests.get(asked[1], headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT)
        assert answer.status_code == 200
    keys.unlink()
