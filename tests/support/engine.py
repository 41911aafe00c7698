"""The container engine: Docker's command line, and Compose, as a plugin of it or by itself."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mnist_torchserve.project import ROOT
from tests.support import programs

# All that the manifests take from a container, with a user that no image knows.
RESTRICTED = ["--read-only", "--tmpfs=/tmp", "--user=23456:23456", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
BUILD_TIMEOUT = 1_200  # s, where PyTorch comes over a network


def docker(*words: str, code: int | None = 0, timeout: float = 120) -> str:
    """What a command of Docker prints, errors included; it must end with this code, if any is given."""
    return _run([_docker(), *words], code, timeout)


def inspect(container: str) -> dict[str, Any]:
    """What Docker knows of a container or an image."""
    [found] = json.loads(docker("inspect", container))
    return dict(found)


def log(container: str) -> list[dict[str, Any]]:
    """The lines of a container's log, each of which must be a JSON object."""
    lines = [json.loads(line) for line in docker("logs", container).splitlines()]
    assert all(isinstance(line, dict) for line in lines)
    return lines


class Compose:
    """One project of Compose, from deploy/compose.yaml.

    Args:
        name: of the project.
        variables: what the file asks of the environment.
        root: the checkout that holds the file.
    """

    def __init__(self, name: str, variables: dict[str, str], root: Path = ROOT) -> None:
        self._name = name
        self._variables = variables
        self._file = root / "deploy" / "compose.yaml"

    def __call__(self, *words: str, timeout: float = 180) -> str:
        """What a command prints."""
        command = [*_compose(), "--project-name", self._name, "--file", str(self._file), *words]
        return _run(command, 0, timeout, self._variables)

    def containers(self, service: str) -> list[str]:
        """The identities of a service's containers."""
        return self("ps", "--quiet", service).split()


def _docker() -> str:
    path = programs.installed("docker", "docker.io")
    if subprocess.run([path, "info"], capture_output=True, check=False).returncode and "CI" not in os.environ:
        pytest.skip("no Docker daemon answers")
    return path


def _compose() -> list[str]:
    plugin = [_docker(), "compose"]
    if subprocess.run([*plugin, "version"], capture_output=True, check=False).returncode == 0:
        return plugin
    return [programs.installed("docker-compose", "docker-compose-v2")]


def _run(command: list[str], code: int | None, timeout: float, variables: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, **(variables or {})},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )
    assert code in (None, done.returncode), f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout
