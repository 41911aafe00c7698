"""Break parts of the service under load, and check for wrong answers, hanging requests and lost requests.

It starts a service of its own on free ports, sends it predictions from 64 clients, and breaks parts of it in ways that
happen in production: killed or frozen workers, a killed JVM, a full disk, a clock that jumps, no file descriptors left.
Then it sends more load than the service can serve, and bad input. It records how every request ends.

It prints the figures and writes them to docs/reliability.md; with --quick or --only it only prints them. It needs Linux
and wrk; filling a disk also needs root, and changing the clock a C compiler.
Exit code 0: all targets are met; 1: a target is missed or something failed, and the message says what.
"""

import datetime
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mnist_torchserve import markdown
from mnist_torchserve.benchmark.wrk import WrkError
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.faults import catalog, mixture, overload, report, trial
from mnist_torchserve.faults.account import Ending
from mnist_torchserve.faults.catalog import FAULTS, Fault, NotPossibleError
from mnist_torchserve.faults.report import ChaosRun
from mnist_torchserve.faults.testbed import GATEWAY, TORCHSERVE, Testbed
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import Archive
from . import command_line, say

PAGE = ROOT / "docs" / "reliability.md"
MARK = "<!-- scripts/chaos writes what follows -->\n\n"
OVERLOAD, MIXTURE = "overload", "mixture"
NAMES = [*(fault.name for fault in FAULTS), OVERLOAD, MIXTURE]


class Extent(NamedTuple):
    """How much a run does."""

    faces: tuple[str, ...]  # of the service
    overload: float  # s
    exchanges: int  # of a mixture
    is_timed: bool  # whether times are judged


QUICK = Extent((GATEWAY,), 8, 1_000, is_timed=False)
FULL = Extent((GATEWAY, TORCHSERVE), 60, 10_000, is_timed=True)


def main() -> None:
    parser = command_line("chaos", __doc__, in_words())
    parser.add_argument(
        "--quick", action="store_true", help="run some of the tests in two minutes, without judging times"
    )
    parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME", help="run this test; may be repeated")
    arguments = parser.parse_args()
    if sys.platform != "linux":
        sys.exit("scripts/chaos needs Linux: other systems do not allow all of these faults.")
    extent = QUICK if arguments.quick else FULL
    usual = [fault.name for fault in FAULTS if fault.quick or not arguments.quick]
    names = arguments.only or [*usual, OVERLOAD, MIXTURE]
    run = ChaosRun()
    try:
        Archive().build_if_outdated()
        disturb(run, [fault for fault in FAULTS if fault.name in names], extent, with_mixture=MIXTURE in names)
        if OVERLOAD in names:
            for face in extent.faces:
                flood(run, face, extent.overload)
    except (ServiceError, WrkError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Interrupted. Nothing was written, and every server was stopped.")
    options = (["--quick"] if arguments.quick else []) + [f"--only {name}" for name in arguments.only or ()]
    text = report.markdown(run, " ".join(["scripts/chaos", *options]), datetime.date.today().isoformat())
    print(f"\n{text}")
    if not options:
        markdown.write_below(PAGE, MARK, text)
        print(f"Written: {PAGE}")
    misses = run.misses(timed=extent.is_timed)
    print("Missed: " + "; ".join(misses) + "." if misses else "All targets are met.")
    sys.exit(bool(misses))


def in_words() -> str:
    """The names that --only takes."""
    lines = [f"  {fault.name:<16}{fault.summary}" for fault in FAULTS]
    lines.append(f"  {OVERLOAD:<16}three times as much load as the service can serve")
    lines.append(f"  {MIXTURE:<16}good, bad, half-sent and dropped requests")
    return "\n".join(["names:", *lines])


def disturb(run: ChaosRun, faults: Sequence[Fault], extent: Extent, *, with_mixture: bool) -> None:
    """Inflict faults on one service, one after the other, and then send it a mixture of requests."""
    if not faults and not with_mixture:
        return
    with tempfile.TemporaryDirectory(prefix="mnist-chaos-") as folder, catalog.small_disk(Path(folder)):
        say("starting the service")
        with (testbed := Testbed(Path(folder))).running():
            trial.warm_up(testbed)
            for fault in faults:
                try:
                    for face in fault.faces:
                        if face in extent.faces:
                            inflict(run, fault, face, testbed)
                except NotPossibleError as error:
                    run.impossible.append(f"{fault.summary}: {error}")
                    say(run.impossible[-1])
            for face in extent.faces if with_mixture else ():
                say(f"{MIXTURE}, {face}: {extent.exchanges:,} exchanges")
                run.mixtures.append(mixture.run(face, testbed, extent.exchanges, Progress(extent.exchanges)))


def inflict(run: ChaosRun, fault: Fault, face: str, testbed: Testbed) -> None:
    ended = trial.run(fault, face, testbed)
    run.trials.append(ended)
    counts = ", ".join(f"{ended.account.count(ending):,} {ending}" for ending in Ending)
    say(f"{fault.name}, {face}: {counts}; recovered after {ended.slowest():.1f} s")


def flood(run: ChaosRun, face: str, seconds: float) -> None:
    """Start another service, and send it more requests than it can serve."""
    say(f"{OVERLOAD}, {face}: measuring the peak, then {seconds:.0f} s of {overload.TIMES:g} times as much load")
    with tempfile.TemporaryDirectory(prefix="mnist-chaos-") as folder:
        ended = overload.run(face, Path(folder), seconds)
    run.overloads.append(ended)
    say(f"served {ended.flood.throughput:,.0f} of {ended.offered:,.0f} requests a second; peak: {ended.peak:,.0f}")


class Progress:
    """Prints the progress every 5 s."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._next = time.monotonic() + 5

    def __call__(self, done: int) -> None:
        """Print it if it is time."""
        if time.monotonic() > self._next:
            say(f"  {done:,} of {self._count:,}")
            self._next += 5
