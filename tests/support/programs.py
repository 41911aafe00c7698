"""Programs of others that the tests need, or that judge our files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def installed(name: str, package: str | None = None) -> str:
    """The path of a program that no package of Python brings; without it the test skips, but for CI, which has all."""
    path = shutil.which(name)
    if path is None and "CI" not in os.environ:
        pytest.skip(f"{name} is not installed (apt-get install {package or name})")
    assert path, f"{name} is missing"
    return path


def of_package(name: str) -> Path:
    """The program that a package brings; without it the test skips, but for CI."""
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
    """Run what judges our files; it must find nothing wrong. Return what it says on standard error all the same."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr
