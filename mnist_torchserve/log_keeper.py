"""The keeper of a log writes what a server sends through a pipe to a few files of limited size.

It is a separate program that ends when all writers have closed the pipe: `log_keeper.py FILE < lines`. It uses only the
standard library, so it starts fast.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

SIZE = 10_000_000  # bytes of a file
KEPT = 5  # older files; access.log.1 is the newest of these
_CHUNK = 65_536  # bytes


def start(path: Path) -> subprocess.Popen[bytes]:
    """Start the keeper of this file; its standard input takes the lines, and the caller must close it."""
    # A session of its own keeps Ctrl-C from ending it before the writers.
    return subprocess.Popen(
        [sys.executable, "-I", __file__, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def keep(source: int, path: Path, size: int = SIZE) -> None:
    """Append everything from a file descriptor to a file, and begin a new file when that is full.

    If another program renames or truncates the file, writing continues in the new one. Lines that cannot be written are
    lost, so that the server never waits.
    """
    while chunk := os.read(source, _CHUNK):
        with contextlib.suppress(OSError), open(path, "ab") as log:
            full = log.tell() + len(chunk) > size
            whole = chunk.rfind(b"\n") + 1 if full else len(chunk)  # do not split a line
            log.write(chunk[:whole])
            if full:
                rotate(path)
                path.write_bytes(chunk[whole:])


def rotate(path: Path) -> None:
    """Rename a file or a folder to `NAME.1`, `NAME.1` to `NAME.2` and so on; more than KEPT are deleted."""
    aside = [path.with_name(f"{path.name}.{number}") for number in range(1, KEPT + 1)]
    shutil.rmtree(aside[-1], ignore_errors=True)
    for older, newer in zip(reversed(aside), reversed([path, *aside[:-1]]), strict=True):
        with contextlib.suppress(OSError):  # it does not exist, or is a mount, which cannot be renamed
            newer.replace(older)


if __name__ == "__main__":
    keep(sys.stdin.fileno(), Path(sys.argv[1]))
