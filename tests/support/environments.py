"""Virtual environments with fewer packages, or for another checkout; they are made of links, which is fast."""

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
    """Make an environment with only these packages of ours and their requirements; return its Python."""
    site = _site_packages(folder)
    for package in {each.name: each for name in names for each in requirements(Requirement(name))}.values():
        for file in package.files or ():
            top = _OURS / file.parts[0]
            if file.parts[0] not in ("..", "__pycache__") and top.exists() and not (site / top.name).exists():
                (site / top.name).symlink_to(top)
    return folder / "bin" / "python"


def of_checkout(root: Path) -> None:
    """Make `.venv` in another checkout, with our packages but with that checkout's own code."""
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
    """An installed package and its requirements; for the project itself, only the requirements."""
    try:
        found = distribution(requirement.name)
    except PackageNotFoundError:  # only for another system, or in an extra that is not installed
        return
    if requirement.name != PROJECT:
        yield found
    for line in found.requires or ():
        further = Requirement(line)
        extras = requirement.extras or {""}
        if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
            yield from requirements(further)
