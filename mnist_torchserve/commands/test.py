"""Run the whole test suite. Arguments go to pytest: `scripts/test -k payload`, `scripts/test tests/test_api.py -v`."""

import os
import sys

from mnist_torchserve.project import ROOT


def main() -> None:
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__)
        return
    os.chdir(ROOT)
    # In this one's place: it gets Ctrl-C itself, and ends the servers of its tests before it ends.
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *(sys.argv[1:] or ["tests"])])
