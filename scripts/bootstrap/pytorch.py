"""Chooses and installs PyTorch: with CUDA from PyPI, or without, at a fifth of the size, from PyTorch's own index."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .packages import NotFoundError, Packages, UnreachableError
from .progress import Progress

# Where PyTorch without CUDA comes from, and the seconds until PyPI's build is used instead.
INDEX = os.environ.get("PYTORCH_INDEX_URL") or "https://download.pytorch.org/whl/cpu"
TIMEOUT = 5

DISK_OF_CUDA = 4.0  # GiB that PyTorch with CUDA takes more than the other build


def wants_cuda() -> bool:
    """Whether to use PyPI's build: if an NVIDIA GPU answers, and on macOS, where that build has no CUDA."""
    if sys.platform != "linux":
        return True
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and listed.stdout.startswith(b"GPU ")


def install_without_cuda(packages: Packages, lock: Path, again: bool, progress: Progress) -> bool:
    """Install it from where pip looks, or from PyTorch's own index. If neither has it, say so and return False.

    Raises:
        InstallError: the package found is not the locked one.
    """
    try:
        packages.install(lock, again)
    except NotFoundError:
        try:
            packages.install(lock, again, INDEX, TIMEOUT)
        except (NotFoundError, UnreachableError) as error:
            progress.say(
                f"PyTorch without CUDA cannot be had from {INDEX}: {error} PyPI's comes instead, with CUDA: "
                f"some 2.5 GB more to download, {DISK_OF_CUDA} GiB more on the disk. "
                "PYTORCH_INDEX_URL names another index."
            )
            return False
    return True
