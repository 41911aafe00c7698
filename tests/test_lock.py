"""The lock: all that pyproject.toml asks for and that this brings along, in these versions, with hashes."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from mnist_torchserve.project import ROOT
from tests.support import environments

CPU, CUDA, LOCUST = "requirements-cpu.txt", "requirements-cuda.txt", "requirements-locust.txt"
TORCHSERVE, GATEWAY = "requirements-torchserve.txt", "requirements-gateway.txt"


def entries(lock: str) -> list[tuple[Requirement, list[str]]]:
    """What a lock lists, and the hashes of each."""
    lines = (ROOT / lock).read_text().replace("\\\n", "").splitlines()
    parts = [line.split("--hash=") for line in lines if not line.startswith("#")]
    return [(Requirement(requirement), [each.strip() for each in hashes]) for requirement, *hashes in parts]


def locked(lock: str = "requirements.txt") -> set[tuple[str, str]]:
    """Name and version of what a lock lists for this system."""
    here = [each for each, _ in entries(lock) if each.marker is None or each.marker.evaluate()]
    return {(canonicalize_name(each.name), str(each.specifier)) for each in here}


@pytest.mark.parametrize("lock", ["requirements.txt", CPU, CUDA, LOCUST, TORCHSERVE, GATEWAY])
def test_every_package_has_one_version_and_hashes(lock: str) -> None:
    for requirement, hashes in entries(lock):
        assert re.fullmatch(r"==[\w.+]+", str(requirement.specifier)), requirement
        assert hashes, requirement
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes), requirement


def test_every_package_of_pyproject_is_locked_in_its_version() -> None:
    """For the other systems as well."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [pyproject["build-system"]["requires"], *pyproject["project"]["optional-dependencies"].values()]
    asked = {Requirement(line) for group in groups for line in group}
    pins = {(canonicalize_name(each.name), str(each.specifier)) for each in asked if each.name != environments.PROJECT}
    assert pins <= {(canonicalize_name(each.name), str(each.specifier)) for each, _ in entries("requirements.txt")}


def test_every_package_that_those_require_is_locked_too() -> None:
    found = environments.requirements(Requirement(f"{environments.PROJECT}[dev]"))
    here = {(canonicalize_name(each.name), f"=={Version(each.version).public}") for each in found}
    assert here <= locked() | locked(CUDA)


def test_what_only_cuda_needs_has_its_own_lock() -> None:
    only_cuda = (ROOT / "requirements-cuda.in").read_text().splitlines()[1:]
    assert {name for name, _ in locked()}.isdisjoint(only_cuda)
    assert {canonicalize_name(each.name) for each, _ in entries(CUDA)} > set(only_cuda)
    shared = {(name, version) for name, version in locked(CUDA) if name in {name for name, _ in locked()}}
    assert shared <= locked()


@pytest.mark.parametrize(
    ("lock", "asked"),
    [
        (LOCUST, "locust"),
        (TORCHSERVE, f"{environments.PROJECT}[serving]"),
        (GATEWAY, f"{environments.PROJECT}[gateway]"),
    ],
)
def test_part_of_the_lock_has_all_that_it_requires(lock: str, asked: str) -> None:
    whole = {(each.name, str(each.specifier)): hashes for each, hashes in entries("requirements.txt")}
    part = {(each.name, str(each.specifier)): hashes for each, hashes in entries(lock)}
    assert {entry: whole.get(entry) for entry in part} == part
    required = environments.requirements(Requirement(asked))
    assert {canonicalize_name(each.name) for each in required} <= {name for name, _ in locked(lock)}


def test_torch_has_one_version_in_all_locks() -> None:
    [(cpu, _)] = entries(CPU)
    assert (cpu.name, str(cpu.specifier).removesuffix("+cpu")) in locked() & locked(CUDA)
