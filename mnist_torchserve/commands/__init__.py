"""What `scripts/` starts, a module for each verb: its arguments, its messages, its exit codes, and nothing else."""

import argparse
import sys


def command_line(verb: str, description: str | None, epilog: str = "") -> argparse.ArgumentParser:
    """The command line of a verb, whose `--help` is its module's own documentation."""
    return argparse.ArgumentParser(
        prog=f"scripts/{verb}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def say(what: str) -> None:
    """A line of progress, beside the output that another program may read."""
    print(f"  {what}", file=sys.stderr, flush=True)
