"""What `scripts/` starts, a module for each verb: its arguments, its messages, its exit codes, and nothing else."""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TextIO


def command_line(verb: str, description: str | None, epilog: str = "") -> argparse.ArgumentParser:
    """The command line of a verb, whose `--help` is its module's own documentation."""
    return argparse.ArgumentParser(
        prog=f"scripts/{verb}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def labels(name: str) -> list[str]:
    """The names of classes in a file of an option, a line for each."""
    try:
        return [line.strip() for line in Path(name).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{name} cannot be read: {error}") from None


def tell(what: str, stream: TextIO | None = None) -> None:
    """A line of progress, which changes nothing where it cannot be written, or nobody is left to read it."""
    with contextlib.suppress(OSError):
        print(what, file=stream, flush=True)


def say(what: str) -> None:
    """A line of progress, beside the output that another program may read."""
    tell(f"  {what}", sys.stderr)
