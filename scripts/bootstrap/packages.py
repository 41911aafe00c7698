"""Packages into an environment, each with a hash that the lock lists: by uv, or by pip where uv cannot be had."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from . import pip_configuration
from .output import follow
from .progress import Progress

_OLDEST_UV = (0, 5)  # of those on the PATH: it knows the variables that carry pip's configuration


class InstallError(Exception):
    """Packages could not be installed; the message says why."""


class NotFoundError(InstallError):
    """No source has a package."""


class UnreachableError(InstallError):
    """A source does not answer."""


class Packages:
    """What installs packages into an environment.

    Args:
        folder: the environment's.
        uv_lock: the lock of uv, which is brought unless the PATH has one.
        progress: where to say how far it is.
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
        """Install what a lock lists: wheels alone, each with a hash that stands there.

        Args:
            lock: the file.
            again: also what seems to be there.
            index: the only place to look, asked once; by default all those that pip is configured for.
            timeout: seconds that this index gets to answer.

        Raises:
            NotFoundError: there is no such package.
            UnreachableError: nobody answers.
            InstallError: anything else, a package that is not the locked one above all.
        """
        if self._uv:
            try:
                self._run_uv([*_locked(lock), *["--reinstall"] * again], index, timeout)
                return
            except UnreachableError:
                if index:
                    raise
                # pip does without an index that is down, and gets past proxies that uv does not.
        own = ["--index-url", index, "--timeout", str(timeout), "--retries", "0"] if index else []
        self._run_pip([*_locked(lock), *["--force-reinstall"] * again, *own])

    def install_project(self, root: Path) -> None:
        """Install the project itself, as it lies in its checkout."""
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
        # In no project's folder: this one's tells uv how to write locks.
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
        # PIP_USER: Debian's users have been told to set it, and it has no meaning in here.
        command = [*self._pip, "install", "--progress-bar", "off", *options]
        code, said = follow(command, {**os.environ, "PIP_USER": "0"}, self._progress)
        if code == 0:
            return
        if mismatch := re.search(r"^(\S+==\S+) from (\S+?):?( |$)", said, re.MULTILINE):
            raise InstallError(f"{mismatch[1]} is not what was locked: the lock lists no such hash for {mismatch[2]}.")
        why = " ".join(line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: "))
        if re.search("No matching distribution|ResolutionImpossible", why):  # the latter where there is a constraint
            raise NotFoundError(why.rstrip(".") + ".")
        raise InstallError(f"{why.rstrip('.')}." if why else f"pip ended with {code}.")


def _locked(lock: Path) -> list[str]:
    return ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", str(lock)]


def _usable(uv: str | None) -> str | None:
    """The program, if it runs and is new enough: a version manager's may be a mere name."""
    if uv is None:
        return None
    try:
        said = subprocess.run([uv, "--version"], capture_output=True, text=True)
    except OSError:
        return None
    version = re.match(r"uv (\d+)\.(\d+)", said.stdout)
    return uv if version and tuple(map(int, version.groups())) >= _OLDEST_UV else None


def _can_keep_packages() -> bool:
    """Whether uv's cache, which is there for the next checkout, can be written: a home may be read-only."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cache = Path(os.environ.get("UV_CACHE_DIR") or os.path.join(home, "uv"))
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(cache, os.W_OK)
