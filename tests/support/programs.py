"""External programs that the tests need, or that check our files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def installed(name: str, package: str | None = None) -> str:
    """The path of a program that pip cannot install; if it is missing, the test skips, or fails in CI."""
    path = shutil.which(name)
    if path is None and "CI" not in os.environ:
        pytest.skip(f"{name} is not installed (apt-get install {package or name})")
    assert path, f"{name} is missing"
    return path


def of_package(name: str) -> Path:
    """The program of a package; if it is missing, the test skips, or fails in CI."""
    path = Path(sys.executable).with_name(name)
    if not path.exists() and "CI" not in os.environ:
        pytest.skip(f"{name} is not installed: scripts/test brings it")
    return path


def output(*command: str | Path) -> str:
    """What a program prints, which must end well."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_content(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program that checks our files and must find nothing wrong; return its standard error."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr
