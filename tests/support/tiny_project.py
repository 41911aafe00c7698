"""A minimal project: its locks list our own wheels, and scripts/bootstrap makes its environment in a second."""

import os
import shutil
from pathlib import Path

import pytest
from mnist_torchserve.project import ROOT
from tests.support import bootstrap, environments, package_index
from tests.support.programs import of_package


class TinyProject:
    """Its root, the folders of its indexes, and its bootstrap.

    `packages` holds `digit`, and PyTorch with CUDA; `pytorch` holds PyTorch without.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, has_uv: bool = True) -> None:
        self.root = folder / "a project"
        self.packages, self.pytorch, self.path = folder / "packages", folder / "pytorch", folder / "path"
        self.bootstrap = bootstrap.load()
        self.environment = self.bootstrap.environment
        self._monkeypatch = monkeypatch
        self._has_uv = has_uv
        self.root.mkdir()
        (self.root / "pyproject.toml").touch()
        digit = package_index.build_wheel(self.packages)
        cuda = package_index.build_wheel(self.packages, "torch", "2.13.0", "BUILT_FOR = 'CUDA'")
        cpu = package_index.build_wheel(self.pytorch, "torch", "2.13.0+cpu", "BUILT_FOR = 'CPU'")
        for name in ("serve", "training", "benchmark"):
            self.write_lock(f"requirements-{name}.txt", "digit==1.0", digit)
        self.write_lock("requirements.txt", "digit==1.0", digit)
        self.write_lock("requirements-cuda.txt", "torch==2.13.0", cuda)
        self.write_lock("requirements-cpu.txt", "torch==2.13.0+cpu", cpu)
        self.write_lock("requirements-java.txt", "digit==1.0", digit)
        self.write_lock("requirements-uv.txt", "uv==1.0", digit)
        java = self.root / "mnist_torchserve" / "service" / "java.py"
        java.parent.mkdir(parents=True)
        shutil.copy(ROOT / "mnist_torchserve" / "service" / "java.py", java)
        self._isolate()

    def write_lock(self, name: str, requirement: str, *files: Path) -> None:
        (self.root / name).write_text(package_index.lock(requirement, *files))

    def ready(self, group: str = "requirements-serve.txt") -> Path:
        """Make the environment ready as a script does; return the folder of its packages."""
        self.environment.Environment(self.root).ready(group)
        [site] = (self.root / ".venv").glob("lib/python*/site-packages")
        return site

    def _isolate(self) -> None:
        """Hide this machine: no configuration, no GPU, a stand-in for Java, and uv only if the test asks for it."""
        for name in list(os.environ):
            if name.startswith(("PIP_", "UV_")):
                self._monkeypatch.delenv(name)
        self.path.mkdir()
        if self._has_uv:
            (self.path / "uv").symlink_to(of_package("uv"))
        self._monkeypatch.setenv("PATH", str(self.path))
        self._monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
            self._monkeypatch.setenv(name, str(self.path.parent / "home"))
        self._monkeypatch.setenv("UV_CACHE_DIR", str(self.path.parent / "cache"))
        self._monkeypatch.setenv("JAVA_HOME", str(self.path.parent / "java"))
        program = self.path.parent / "java" / "bin" / "java"
        program.parent.mkdir(parents=True)
        program.write_text('#!/bin/sh\nprintf "    java.specification.version = 17\\n" >&2\n')
        program.chmod(0o755)
        self._monkeypatch.setattr(self.environment.Environment, "_make", _make)
        self._monkeypatch.setattr(self.environment.Packages, "install_project", lambda *_: None)


def _make(environment: object) -> None:
    """Make an environment with a link to our pip, which is fast."""
    folder: Path = environment._folder  # type: ignore[attr-defined]  # loaded by path
    shutil.rmtree(folder, ignore_errors=True)
    environments.with_packages(folder, "pip")
