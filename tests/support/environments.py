"""Environments of Python that hold less than this one, or another checkout of the project: links, made in no time."""

import sys
import sysconfig
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = "mnist-torchserve"
_OURS = Path(sysconfig.get_path("purelib"))


def with_packages(folder: Path, *names: str) -> Path:
    """An environment with these packages of ours, what they require, and nothing else; return its Python."""
    site = _site_packages(folder)
    for package in {each.name: each for name in names for each in requirements(Requirement(name))}.values():
        for file in package.files or ():
            top = _OURS / file.parts[0]
            if file.parts[0] not in ("..", "__pycache__") and top.exists() and not (site / top.name).exists():
                (site / top.name).symlink_to(top)
    return folder / "bin" / "python"


def of_checkout(root: Path) -> None:
    """Make `.venv` in another checkout: our packages, but that checkout's own code."""
    folder = root / ".venv"
    site = _site_packages(folder)
    (site / "ours.pth").write_text("\n".join([str(_OURS), str(root), str(root / "handler")]))
    for program in Path(sys.prefix, "bin").iterdir():
        mine = folder / "bin" / program.name
        if mine.exists() or not program.is_file():
            continue
        with open(program, "rb") as file:
            first = file.readline(200)
        if first.startswith(b"#!") and b"python" in first:
            mine.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" "{program}" "$@"\n')
            mine.chmod(0o755)
        else:
            mine.symlink_to(program)


def _site_packages(folder: Path) -> Path:
    venv.create(folder, symlinks=True)
    [site] = folder.glob("lib/python*/site-packages")
    return site


def requirements(requirement: Requirement) -> Iterator[Distribution]:
    """A package and all that it requires, here; of the project itself only what it requires."""
    try:
        found = distribution(requirement.name)
    except PackageNotFoundError:  # of another system, or an extra that nobody asked for
        return
    if requirement.name != PROJECT:
        yield found
    for line in found.requires or ():
        further = Requirement(line)
        extras = requirement.extras or {""}
        if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
            yield from requirements(further)
