"""The files for containers and units, checked without an engine: rules for them, and what they refer to."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.machine import processors
from mnist_torchserve.project import ROOT
from tests.support import programs

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_dockerfile_follows_the_rules() -> None:
    programs.assert_content(programs.of_package("hadolint"), DEPLOY / "Dockerfile")


def test_dockerfile_and_pyproject_name_one_version() -> None:
    [version] = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert f"ARG VERSION={version}\n" in (DEPLOY / "Dockerfile").read_text()
    for name in ("torchserve", "gateway"):
        assert f":-mnist-{name}:{version}}}" in COMPOSE["services"][name]["image"]


def test_compose_publishes_the_gateway_alone() -> None:
    published = {
        name: [port.rpartition(":")[2] for port in service.get("ports", [])]
        for name, service in COMPOSE["services"].items()
    }
    assert published == {"torchserve": [], "gateway": ["8000"], "prometheus": ["9090"]}
    assert COMPOSE["services"]["prometheus"]["ports"] == ["${PUBLISH_PROMETHEUS:-127.0.0.1:9090}:9090"]
    assert COMPOSE["services"]["prometheus"]["profiles"] == ["monitoring"]


def test_health_checks_of_compose_are_those_of_the_images() -> None:
    checks = re.findall(r"^    CMD (\[.*\])$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    ours = [["CMD", *json.loads(check)] for check in checks]
    assert [COMPOSE["services"][name]["healthcheck"]["test"] for name in ("gateway", "torchserve")] == ours


def test_unit_is_what_systemd_understands(tmp_path: Path) -> None:
    analyze = programs.installed("systemd-analyze", "systemd")
    # What it names need not be installed where it is checked.
    unit = (DEPLOY / "systemd" / "mnist.service").read_text().replace("/opt/mnist-torchserve/", f"{ROOT}/")
    (tmp_path / "mnist.service").write_text(unit)
    done = subprocess.run([analyze, "verify", tmp_path / "mnist.service"], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "mnist" in line]) == (0, [])


def group(folder: Path, line: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A /proc and a /sys/fs/cgroup with one process, in the group of that line, and these files."""
    own = folder / "proc" / "self"
    own.mkdir(parents=True)
    (own / "cgroup").write_text(line)
    for name, text in files.items():
        file = folder / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "proc", folder / "cgroup"


ALL = processors()


@pytest.mark.parametrize(
    ("line", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, ALL),
        ("0::/\n", {"cpu.max": "6400000 100000\n"}, ALL),
        (
            "0::/a.slice/b.service\n",
            {"a.slice/b.service/cpu.max": "max 100000\n", "a.slice/cpu.max": "100000 100000"},
            1,
        ),
        ("3:cpu,cpuacct:/docker/1f\n", {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ("3:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, ALL),
        ("3:cpuset:/\n", {}, ALL),
        ("", {}, ALL),
    ],
)
def test_processors_are_those_that_the_group_may_use(
    line: str, files: dict[str, str], expected: int, tmp_path: Path
) -> None:
    assert processors(*group(tmp_path, line, files)) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ('nodes = [{inference = "10.0.0.1:8080", management = "10.0.0.1:8081"}]', ALL),
        ("", max(1, ALL // 2)),  # the other half is TorchServe's
        ("threads = 3", 3),
    ],
)
def test_gateway_has_a_thread_for_each_processor_that_it_may_use(settings: str, expected: int, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(settings)
    assert Gateway(settings=tmp_path / "settings.toml").threads == expected
