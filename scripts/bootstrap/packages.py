"""Installs packages, each with a hash that the lock lists: with uv, or with pip if uv is unavailable."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from . import pip_configuration
from .output import follow
from .progress import Progress

_OLDEST_UV = (0, 5)  # on the PATH; it supports the variables that pass on pip's configuration


class InstallError(Exception):
    """Packages could not be installed. The message says why."""


class NotFoundError(InstallError):
    """No source has a package."""


class UnreachableError(InstallError):
    """A source does not answer."""


class Packages:
    """Installs packages into an environment.

    Args:
        folder: the environment's folder.
        uv_lock: the lock of uv, which is installed unless it is on the PATH.
        progress: shows how far the installation is.
    """

    def __init__(self, folder: Path, uv_lock: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._python = str(folder / "bin" / "python")
        self._pip = [self._python, "-I", "-m", "pip", "--disable-pip-version-check"]
        self._uv = _usable(shutil.which("uv")) or _usable(self._own_uv) or self._bring_uv(uv_lock)
        self._variables = pip_configuration.for_uv(self._pip) if self._uv else {}

    @property
    def _own_uv(self) -> str:
        return str(self._folder / "bin" / "uv")

    def install(self, lock: Path, again: bool = False, index: str | None = None, timeout: int = 15) -> None:
        """Install what a lock lists: only wheels, each with a hash in the lock.

        Args:
            lock: the file.
            again: whether to install packages that seem to be installed.
            index: the only place to look, tried once; by default all places in pip's configuration.
            timeout: seconds that this index has to answer.

        Raises:
            NotFoundError: there is no such package.
            UnreachableError: no source answers.
            InstallError: anything else, such as a package that is not the locked one.
        """
        if self._uv:
            try:
                self._run_uv([*_locked(lock), *["--reinstall"] * again], index, timeout)
                return
            except UnreachableError:
                if index:
                    raise
                # pip skips an index that is down, and works with proxies that uv does not support.
        own = ["--index-url", index, "--timeout", str(timeout), "--retries", "0"] if index else []
        self._run_pip([*_locked(lock), *["--force-reinstall"] * again, *own])

    def install_project(self, root: Path) -> None:
        """Install the project itself from its checkout."""
        options = ["--no-deps", "--no-build-isolation", "--editable", str(root)]
        self._run_uv(options) if self._uv else self._run_pip(options)

    def _bring_uv(self, lock: Path) -> str | None:
        self._progress.step("uv")
        try:
            self._run_pip(_locked(lock))
        except NotFoundError:
            return None
        return _usable(self._own_uv)

    def _run_uv(self, options: list[str], index: str | None = None, timeout: int = 0) -> None:
        variables = dict(self._variables)
        if index:
            for name in pip_configuration.SOURCES:
                variables.pop(name, None)
            variables |= {"UV_DEFAULT_INDEX": index, "UV_HTTP_TIMEOUT": str(timeout), "UV_HTTP_RETRIES": "0"}
        command = [str(self._uv), "pip", "install", "--python", self._python, *options]
        if aside := None if _can_keep_packages() else self._folder / "cache":
            variables["UV_CACHE_DIR"] = str(aside)
        # Run outside of any project's folder: ours tells uv how to write locks.
        code, said = follow(command, variables, self._progress, Path("/"))
        if aside:
            shutil.rmtree(aside, ignore_errors=True)
        if code == 0:
            return
        why = " ".join(re.sub(r"\n(cause|hint): ", ": ", said[said.find("error: ") :]).split()).removeprefix("error: ")
        if mismatch := re.search(r"Hash mismatch for `(\S+)`", why):
            raise InstallError(f"{mismatch[1]} is not what was locked: the lock lists no such hash for it.")
        if re.search("there is no version of|was not found in|no wheels with a matching", why):
            raise NotFoundError(f"{why.rstrip('.')}.")
        if re.search("Failed to fetch|Failed to download|Request failed|error sending request", why):
            raise UnreachableError(f"{why.rstrip('.')}.")
        raise InstallError(f"{why.rstrip('.')}." if why else f"uv ended with {code}.")

    def _run_pip(self, options: list[str]) -> None:
        # PIP_USER: some users of Debian set it, but it makes no sense in an environment.
        command = [*self._pip, "install", "--progress-bar", "off", *options]
        code, said = follow(command, {**os.environ, "PIP_USER": "0"}, self._progress)
        if code == 0:
            return
        if mismatch := re.search(r"^(\S+==\S+) from (\S+?):?( |$)", said, re.MULTILINE):
            raise InstallError(f"{mismatch[1]} is not what was locked: the lock lists no such hash for {mismatch[2]}.")
        why = " ".join(line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: "))
        if re.search("No matching distribution|ResolutionImpossible", why):  # the latter if there is a constraint
            raise NotFoundError(why.rstrip(".") + ".")
        raise InstallError(f"{why.rstrip('.')}." if why else f"pip ended with {code}.")


def _locked(lock: Path) -> list[str]:
    return ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", str(lock)]


def _usable(uv: str | None) -> str | None:
    """Return the program if it runs and is new enough. A version manager's may not run."""
    if uv is None:
        return None
    try:
        said = subprocess.run([uv, "--version"], capture_output=True, text=True)
    except OSError:
        return None
    version = re.match(r"uv (\d+)\.(\d+)", said.stdout)
    return uv if version and tuple(map(int, version.groups())) >= _OLDEST_UV else None


def _can_keep_packages() -> bool:
    """Whether uv's cache for the next checkouts is writable. A home may be read-only."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cache = Path(os.environ.get("UV_CACHE_DIR") or os.path.join(home, "uv"))
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(cache, os.W_OK)
