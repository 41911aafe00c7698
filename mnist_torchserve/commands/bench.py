"""Compare this project with a FastAPI service and a plain TorchServe handler, on this machine, in one run.

It needs wrk. It prints tables, and writes docs/benchmarks.md and docs/benchmarks/servers.png unless --quick is given.
Exit code 0: all targets are met; 1: a target is missed or something failed, and the message says what.
"""

import datetime
import sys
import tempfile
from pathlib import Path

from mnist_torchserve import markdown
from mnist_torchserve.benchmark import measurement, report
from mnist_torchserve.benchmark.wrk import WrkError
from mnist_torchserve.client import digits
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import Archive
from . import command_line

PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "benchmarks" / "servers.png"
MARK = "<!-- scripts/bench writes what follows -->\n\n"


def main() -> None:
    parser = command_line("bench", __doc__)
    parser.add_argument("--quick", action="store_true", help="one round, one second per point: below 90 s, but noisy")
    quick = parser.parse_args().quick
    pixels, _ = digits.sample()
    try:
        Archive().build_if_outdated()
        with tempfile.TemporaryDirectory(prefix="mnist-bench-") as folder:
            rounds, seconds = (1, 1) if quick else (4, 3)
            figures = measurement.measure(pixels, Path(folder), rounds, seconds)
    except (ServiceError, WrkError, ValueError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Interrupted. Nothing was written, and every server was stopped.")
    command = "scripts/bench --quick" if quick else "scripts/bench"
    text = report.markdown(figures, command, datetime.date.today().isoformat())
    print(text)
    if not quick:
        markdown.write_below(PAGE, MARK, text)
        PICTURE.parent.mkdir(exist_ok=True)
        report.draw(figures, PICTURE)
        print(f"Written: {PAGE}, {PICTURE}")
    missed = [goal.name for goal in report.goals(figures) if not goal.met]
    print(f"Missed: {'; '.join(missed)}." if missed else "All targets are met.")
    sys.exit(bool(missed))
