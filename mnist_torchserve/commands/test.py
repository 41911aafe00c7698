"""Run the whole test suite. Arguments go to pytest: `scripts/test -k payload`, `scripts/test tests/test_api.py -v`."""

import subprocess
import sys

from mnist_torchserve.project import ROOT


def main() -> None:
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__)
        return
    done = subprocess.run([sys.executable, "-m", "pytest", *(sys.argv[1:] or ["tests"])], cwd=ROOT)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
