"""What a new user may lack: the right Python, disk space, Java."""

import os
import shutil
import sys
from pathlib import Path

import environment
import pytest


def fake_java(home: Path, version: str) -> Path:
    """A `java` that says it is of this version."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    said = f"    java.home = {home}\\n    java.specification.version = {version}\\n"
    java.write_text(f'#!/bin/sh\nprintf "{said}" >&2\n')
    java.chmod(0o755)
    return java


def test_wrong_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match=r"Python 3\.11 is needed; python3 is 3\.9 .*Install Python 3\.11"):
        environment.enter()


def test_full_disk_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment, "_STAMP", tmp_path / "installed")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**33, 2**33 - 2**20, 2**20))
    with pytest.raises(SystemExit, match=r"packages need 3 GiB and .* has 0\.0 GiB free"):
        environment.enter()


@pytest.mark.parametrize(
    ("java_home", "on_path", "expected"),
    [("21", "17", "home"), (None, "17", "path"), ("1.8", "25", "path"), ("11", None, None), (None, None, None)],
)
def test_java_17_or_newer_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, java_home: str | None, on_path: str | None, expected: str | None
) -> None:
    monkeypatch.setattr(environment, "_VENV", tmp_path / "venv")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    if java_home:
        fake_java(tmp_path / "home", java_home)
        monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    if on_path:
        fake_java(tmp_path / "path", on_path)
    assert environment.java_home() == (expected and str(tmp_path / expected))


def test_broken_java_home_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    fake_java(tmp_path / "path", "17")
    monkeypatch.setenv("PATH", f"{tmp_path}/path/bin{os.pathsep}{os.environ['PATH']}")
    assert environment.java_home() == str(tmp_path / "path")
