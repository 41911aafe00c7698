"""What `scripts/` starts, a module for each verb: its arguments, its messages, its exit codes, and nothing else."""

import argparse
import signal
import sys

from mnist_torchserve import machine


def command_line(verb: str, description: str | None, epilog: str = "") -> argparse.ArgumentParser:
    """The command line of a verb, whose `--help` is its module's own documentation."""
    machine.reach_without_proxy()
    return argparse.ArgumentParser(
        prog=f"scripts/{verb}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def interrupt_on_termination() -> None:
    """Let SIGTERM unwind like Ctrl-C, so that all that was started is ended on the way out."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def say(what: str) -> None:
    """A line of progress, beside the output that another program may read."""
    print(f"  {what}", file=sys.stderr, flush=True)
