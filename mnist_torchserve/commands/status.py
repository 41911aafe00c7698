"""Show whether the service is healthy, and its figures: rate, errors, times, queue, classes, confidence, memory.

It measures for a few seconds, at TorchServe and at the gateway, if they run on this machine. Of several models, each
has its own figures, and all must be healthy.
Exit code 0: healthy; 1: unhealthy or not running, and the first lines say why; 2: the command line is wrong.
"""

import argparse
import contextlib
import sys
import time

from rich.console import Console
from rich.live import Live
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.status import overview
from mnist_torchserve.status.observation import Observation
from . import command_line

SECONDS = 5.0


def main() -> None:
    parser = command_line("status", __doc__)
    parser.add_argument("--watch", action="store_true", help="repeat until Ctrl-C")
    parser.add_argument(
        "--seconds",
        type=_positive,
        default=SECONDS,
        help="how long to measure each time (default: %(default)g); the gateway updates its times every 5 s",
    )
    arguments = parser.parse_args()
    try:
        before = Observation.make()
        if not before.runs:
            sys.exit("The service does not run on this machine. scripts/serve starts it.")
        watch(before, arguments.seconds) if arguments.watch else look(before, arguments.seconds)
    except ServiceError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Interrupted.")


def look(before: Observation, seconds: float) -> None:
    console = Console()
    with console.status(f"Measuring for {seconds:g} s"):
        time.sleep(seconds)
    after = Observation.make()
    console.print(overview.render(before, after, seconds))
    sys.exit(bool(after.problems))


def watch(before: Observation, seconds: float) -> None:
    with contextlib.suppress(KeyboardInterrupt), Live(auto_refresh=False) as live:
        live.update(f"Measuring for {seconds:g} s", refresh=True)
        while True:
            time.sleep(seconds)
            after = Observation.make()
            live.update(overview.render(before, after, seconds), refresh=True)
            before = after
    sys.exit(bool(before.problems))


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text!r}")
    return value
