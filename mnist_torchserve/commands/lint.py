"""Check the code with ruff (lint and format), mypy and import-linter, as set in pyproject.toml.

Exit code 0: clean; 1: not clean, and the lines above the last one say why.
"""

import subprocess
import sys
from pathlib import Path

from mnist_torchserve.project import ROOT
from . import command_line

_PYTHON = ("handler", "mnist_torchserve", "scripts/bootstrap", "tests")


def main() -> None:
    parser = command_line("lint", __doc__)
    parser.add_argument("--fix", action="store_true", help="let ruff fix what it can")
    fix = parser.parse_args().fix
    checks = [
        ["ruff", "check", *(["--fix"] if fix else []), "."],
        ["ruff", "format", *([] if fix else ["--check"]), "."],
        ["mypy", *_PYTHON],
        ["lint-imports", "--no-cache"],
    ]
    programs = Path(sys.executable).parent
    # In a group of their own, they do not get the terminal's Ctrl-C: we do, and end them.
    codes = [
        subprocess.run([programs / program, *words], cwd=ROOT, process_group=0).returncode for program, *words in checks
    ]
    print("Clean." if not any(codes) else "Not clean: see above.")
    sys.exit(any(codes))
