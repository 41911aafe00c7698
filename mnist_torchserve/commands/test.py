"""Run the whole test suite. Arguments go to pytest: `scripts/test -k payload`, `scripts/test tests/test_api.py -v`."""

import os
import sys

from mnist_torchserve.project import ROOT


def main() -> None:
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__)
        return
    os.chdir(ROOT)
    # pytest replaces this process, so that it gets Ctrl-C itself and stops its servers before it ends.
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *(sys.argv[1:] or ["tests"])])
