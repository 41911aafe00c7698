"""What a new user may lack, the right Python, disk space or rights; and an environment that is interrupted or moved."""

import ast
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from mnist_torchserve.project import ROOT
from tests.support import bootstrap as loader
from tests.support import package_index
from tests.support.checkout import Checkout
from tests.support.tiny_project import TinyProject

SCRIPTS = [*(path for path in (ROOT / "scripts").iterdir() if path.is_file()), ROOT / "scripts/bootstrap/__init__.py"]


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TinyProject]:
    """A project whose packages can all be had."""
    made = TinyProject(tmp_path, monkeypatch)
    with package_index.serving(made.packages) as index, package_index.serving(made.pytorch) as pytorch:
        monkeypatch.setenv("PIP_INDEX_URL", index)
        monkeypatch.setattr(made.bootstrap.pytorch, "INDEX", pytorch)
        yield made


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The bootstrap, run by a Python that is too old."""
    module = loader.load()
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    return module


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_old_python_can_read_what_tells_of_it(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 6))


def test_wrong_python_is_named(old: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match=r"Python 3\.11, 3\.12 or 3\.13 is needed; python3 is 3\.9 .*`curl .*uv"):
        old.run("serve")


@pytest.mark.parametrize(
    ("program", "says"), [("python3.12", "echo 1"), ("uv", '[ "$1 $2" != "python find" ] || echo /found/by/uv')]
)
def test_right_python_elsewhere_is_used(
    old: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, says: str
) -> None:
    became: list[str] = []

    def become(path: str, _: list[str]) -> None:
        became.append(path)
        raise SystemExit

    (tmp_path / program).write_text(f"#!/bin/sh\n{says}\n")
    (tmp_path / "python3.13").write_text("#!/bin/sh\nexit 127\n")  # a version manager's, of a version it lacks
    for each in tmp_path.iterdir():
        each.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "execv", become)
    with pytest.raises(SystemExit):
        old.run("serve")
    assert became == ["/found/by/uv" if program == "uv" else str(tmp_path / program)]


@pytest.mark.parametrize(("gpu", "needed"), [(False, "1.4 GiB"), (True, "5.4 GiB, with CUDA for PyTorch")])
def test_full_disk_is_named(project: TinyProject, monkeypatch: pytest.MonkeyPatch, gpu: bool, needed: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**33, 2**33 - 2**20, 2**20))
    monkeypatch.setattr(project.bootstrap.pytorch, "wants_cuda", lambda: gpu)
    with pytest.raises(SystemExit, match=rf"packages need {needed}, and .* has 0\.0 GiB free"):
        project.ready()


def test_read_only_checkout_is_named(project: TinyProject, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != project.root and usual(path, mode))
    with pytest.raises(SystemExit, match=r"cannot be written, and the environment .* copy the checkout"):
        project.ready()


def test_what_is_there_is_not_installed_again(project: TinyProject) -> None:
    site = project.ready()
    (site / "digit.py").write_text("READ = 'as it was'")
    project.ready()
    project.ready("requirements.txt")
    assert (site / "digit.py").read_text() == "READ = 'as it was'"


def test_other_lock_is_installed(project: TinyProject) -> None:
    site = project.ready()
    project.write_lock(
        "requirements-serve.txt", "digit==2.0", package_index.build_wheel(project.packages, "digit", "2.0")
    )
    project.ready()
    assert (site / "digit-2.0.dist-info").is_dir()
    assert not (site / "digit-1.0.dist-info").exists()


def test_interrupted_installation_is_repeated(project: TinyProject, monkeypatch: pytest.MonkeyPatch) -> None:
    site = project.ready()
    packages = project.environment.Packages
    usual = packages.install

    def interrupted(*_: object, **__: object) -> None:
        (site / "digit.py").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packages, "install", interrupted)
        project.write_lock("requirements-serve.txt", "digit==1.0", *project.packages.iterdir())
        with pytest.raises(KeyboardInterrupt):
            project.ready()
    assert packages.install is usual
    project.ready()
    assert (site / "digit.py").is_file()


def test_failed_addition_leaves_what_serves(project: TinyProject, monkeypatch: pytest.MonkeyPatch) -> None:
    project.ready()
    project.write_lock("requirements.txt", "nowhere==1.0", project.packages / "digit-1.0-py3-none-any.whl")
    with pytest.raises(SystemExit, match="nowhere"):
        project.ready("requirements.txt")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    project.ready()


def test_environment_that_was_moved_is_made_again(project: TinyProject) -> None:
    project.ready()
    project.root = project.root.rename(project.root.with_name("moved"))
    (project.root / ".venv" / "of the old place").touch()
    assert (project.ready() / "digit.py").is_file()
    assert not (project.root / ".venv" / "of the old place").exists()


@pytest.mark.parametrize("becomes", ["missing", "another"])
def test_environment_whose_python_was_replaced_is_made_again(project: TinyProject, becomes: str) -> None:
    site = project.ready()
    (site / "digit.py").unlink()
    python = project.root / ".venv" / "bin" / "python"
    python.unlink()
    if becomes == "another":
        python.write_text("#!/bin/sh\necho cpython-39 x86_64\n")
        python.chmod(0o755)
    assert (project.ready() / "digit.py").is_file()


def test_code_in_the_current_folder_is_not_run(tmp_path: Path, checkout: Checkout) -> None:
    """Neither while the environment is made nor afterwards."""
    for name in ("venv", "pip", "argparse", "mnist_torchserve", "bootstrap"):
        (tmp_path / f"{name}.py").write_text("open('intruded', 'w').close()")
    stop = f"'{checkout.root}/scripts/stop'"
    assert checkout.run(f"cd '{tmp_path}' && {stop}") == "Nothing to end: the service does not run.\n"
    (checkout.root / ".venv" / "installed").unlink()
    checkout.variables |= {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "http://127.0.0.1:9/"}
    checkout.variables |= {"PIP_RETRIES": "0", "UV_HTTP_RETRIES": "0", "PYTORCH_INDEX_URL": "http://127.0.0.1:9/"}
    output = checkout.run(f"cd '{tmp_path}' && {stop}", code=1)
    assert "The packages could not be installed." in output
    assert not (tmp_path / "intruded").exists()
