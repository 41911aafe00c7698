"""The keeper of a log: what a server writes to a pipe, in a few files of bounded size.

A program of its own, which ends with the last who writes: `log_keeper.py FILE < lines`. It uses the standard library
alone, so that it starts at once.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

SIZE = 10_000_000  # bytes of a file
KEPT = 5  # older ones: access.log.1 is the youngest
_CHUNK = 65_536  # bytes


def start(path: Path) -> subprocess.Popen[bytes]:
    """Start the keeper of this file; its standard input takes the lines, and is for the caller to close."""
    # In a session of its own, so that a Ctrl-C does not end it before those who write.
    return subprocess.Popen(
        [sys.executable, "-I", __file__, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def keep(source: int, path: Path, size: int = SIZE) -> None:
    """Append all that comes from a file descriptor to a file, and begin another when it is full.

    A file that somebody else has renamed or cut is followed. What cannot be written is lost, lest the server waits.
    """
    while chunk := os.read(source, _CHUNK):
        with contextlib.suppress(OSError), open(path, "ab") as log:
            full = log.tell() + len(chunk) > size
            whole = chunk.rfind(b"\n") + 1 if full else len(chunk)  # no line is torn in two
            log.write(chunk[:whole])
            if full:
                rotate(path)
                path.write_bytes(chunk[whole:])


def rotate(path: Path) -> None:
    """Put a file or a folder aside as `NAME.1`; it becomes `NAME.2` at the next rotation, and is gone after KEPT."""
    aside = [path.with_name(f"{path.name}.{number}") for number in range(1, KEPT + 1)]
    shutil.rmtree(aside[-1], ignore_errors=True)
    for older, newer in zip(reversed(aside), reversed([path, *aside[:-1]]), strict=True):
        with contextlib.suppress(OSError):  # not there, or a mount that stays where it is
            newer.replace(older)


if __name__ == "__main__":
    keep(sys.stdin.fileno(), Path(sys.argv[1]))
