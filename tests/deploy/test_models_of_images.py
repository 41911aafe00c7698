"""Which models an image has, and which of them its health check asks: one setting, for any model."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from mnist_torchserve import container
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import CONFIG, TorchServe, read_properties
from tests.support.stub import Stub

DEPLOY = ROOT / "deploy"
TIMEOUT = 30  # s
OURS = ("mnist.pt", "mnist.onnx")


def archive(folder: Path, name: str) -> None:
    """An archive that somebody has brought; its contents do not matter here."""
    with zipfile.ZipFile(folder / f"{name}.mar", "w") as written:
        written.writestr("model-config.yaml", "minWorkers: 2\nmaxWorkers: 2\nbatchSize: 16\n")


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """What the Dockerfile copies before it chooses the models."""
    shutil.copytree(ROOT / "handler", tmp_path / "handler")
    for folder in ("gateway", "service"):
        shutil.copytree(ROOT / "mnist_torchserve" / folder, tmp_path / "mnist_torchserve" / folder)
    for file in (ROOT / "mnist_torchserve").glob("*.py"):
        shutil.copy(file, tmp_path / "mnist_torchserve")
    shutil.copy(CONFIG, tmp_path)
    (tmp_path / "model_store").mkdir()
    for name in OURS:
        shutil.copy(ROOT / "model_store" / name, tmp_path / "model_store")
    for name in ("awesome", "fashion", "third"):
        archive(tmp_path / "model_store", name)
    return tmp_path


def choose(build: Path, service: str, models: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mnist_torchserve.image", service, models, "--into", "chosen"]
    return subprocess.run(command, cwd=build, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def test_image_without_a_setting_has_what_the_configuration_lists(build: Path) -> None:
    assert choose(build, "torchserve", "").returncode == 0
    assert (build / "chosen" / "config.properties").read_text() == CONFIG.read_text()
    [built] = (build / "chosen" / "model_store").iterdir()
    assert built.name == "mnist.mar"
    with zipfile.ZipFile(built) as opened:
        assert {"mnist_handler.py", "model-config.yaml", *OURS} <= set(opened.namelist())


@pytest.mark.parametrize("models", ["fashion,awesome", " fashion , awesome,fashion ", "fashion.mar,awesome.mar"])
def test_image_has_the_models_that_the_setting_names_and_no_others(build: Path, models: str) -> None:
    for service in ("gateway", "torchserve"):
        assert choose(build, service, models).returncode == 0
        expected = {**read_properties(), "load_models": "fashion.mar,awesome.mar"}
        assert read_properties(build / "chosen" / "config.properties") == expected
        assert (build / "chosen" / "model_store").exists() == (service == "torchserve")
    store = build / "chosen" / "model_store"
    assert {file.name for file in store.iterdir()} == {"awesome.mar", "fashion.mar"}
    assert (store / "awesome.mar").read_bytes() == (build / "model_store" / "awesome.mar").read_bytes()


def test_archive_is_for_any_user_to_read(build: Path) -> None:
    (build / "model_store" / "awesome.mar").chmod(0o600)
    assert choose(build, "torchserve", "awesome").returncode == 0
    assert (build / "chosen" / "model_store" / "awesome.mar").stat().st_mode & 0o444 == 0o444


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("unknown", "There is no model `unknown`: build it with `scripts/archive --name unknown .*`.*"),
        ("awesome,../x", "Expected a model's name of .*, got '../x'."),
        ("awesome,,", "Expected a model's name of .*, got ''."),
    ],
)
def test_model_that_cannot_be_had_ends_the_build_with_a_sentence(build: Path, models: str, said: str) -> None:
    done = choose(build, "torchserve", models)
    assert done.returncode == 1
    assert re.fullmatch(said, done.stderr.strip().splitlines()[-1])
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("listed", ["all", "none", ""])
def test_configuration_that_names_no_model_ends_the_build(build: Path, listed: str) -> None:
    config = build / "config.properties"
    config.write_text(config.read_text().replace("load_models=mnist.mar", f"load_models={listed}"))
    done = choose(build, "gateway", "")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "MODELS" in done.stderr


def test_variable_sets_the_workers_of_every_model(build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MODEL_STORE", build / "model_store")
    monkeypatch.setenv("TORCHSERVE_WORKERS", "5")
    container.torchserve(tmp_path, output=1)
    for name in ("awesome", "fashion", "third"):
        with zipfile.ZipFile(tmp_path / "models" / f"{name}.mar") as opened:
            settings = yaml.safe_load(opened.read("model-config.yaml"))
        assert settings == {"minWorkers": 5, "maxWorkers": 5, "batchSize": 16}


def test_page_of_health_is_that_of_the_first_model(tmp_path: Path) -> None:
    config = tmp_path / "config.properties"
    config.write_text("load_models=awesome.mar,fashion.mar\nmanagement_address=http://0.0.0.0:9081\n")
    assert TorchServe(config, tmp_path).health_url == "http://127.0.0.1:9081/models/awesome?customized=true"
    (tmp_path / "settings.toml").write_text('metrics = "0.0.0.0:9001"\n')
    assert Gateway(settings=tmp_path / "settings.toml").health_url == "http://127.0.0.1:9001/metrics"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Where a container's service names its page of health."""
    (tmp_path / "mnist").mkdir()
    return tmp_path / "mnist" / "health"


def check_health(page: Path) -> "subprocess.CompletedProcess[str]":
    variables = {**os.environ, "TMPDIR": str(page.parents[1]), "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    command = [sys.executable, "-I", str(DEPLOY / "healthcheck.py")]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def test_health_check_asks_the_page_that_the_service_names(page: Path, service_stub: Stub) -> None:
    service_stub.answering = lambda path, _: (200 if path == "/models/awesome?customized=true" else 404, {})
    page.write_text(f"{service_stub.url}/models/awesome?customized=true")
    assert check_health(page).returncode == 0


@pytest.mark.parametrize("status", [404, 500, 503, None])
def test_health_check_fails_where_the_service_is_not_well(page: Path, service_stub: Stub, status: int | None) -> None:
    if status is not None:
        service_stub.answering = lambda *_: (status, {})
        page.write_text(service_stub.url)
    done = check_health(page)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_nothing_for_containers_asks_for_one_model_by_name() -> None:
    files = [file for file in DEPLOY.rglob("*") if file.is_file() and "gateway" not in file.parent.parts]
    named = re.compile(r"(models|predictions)/mnist|mnist\.(mar|pt|onnx)")
    assert [file for file in files if named.search(file.read_text(errors="ignore"))] == []
