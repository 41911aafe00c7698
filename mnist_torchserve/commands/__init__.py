"""The commands in `scripts/`, a module for each verb, with only its arguments, messages and exit codes."""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TextIO


def command_line(verb: str, description: str | None, epilog: str = "") -> argparse.ArgumentParser:
    """Return the command line of a verb. Its `--help` is the docstring of its module."""
    return argparse.ArgumentParser(
        prog=f"scripts/{verb}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def labels(name: str) -> list[str]:
    """Read the names of classes from an option's file, one on each line."""
    try:
        text = Path(name).read_text(encoding="utf-8-sig")  # some editors put a byte order mark first
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{name} cannot be read: {error}") from None
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if twice := [label for index, label in enumerate(found) if label in found[:index]]:
        raise argparse.ArgumentTypeError(f"{name} has {twice[0]} twice, but each class needs its own name")
    return found


def tell(what: str, stream: TextIO | None = None) -> None:
    """Print a line of progress. If it cannot be written, or nobody reads it, nothing happens."""
    with contextlib.suppress(OSError):
        print(what, file=stream, flush=True)


def say(what: str) -> None:
    """Print a line of progress, separate from the output that another program may read."""
    tell(f"  {what}", sys.stderr)
