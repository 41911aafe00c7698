"""The access log: what Envoy writes to its standard output, in a few files of bounded size.

A program of its own, which ends with Envoy: `access_log.py FILE < lines`. It uses the standard library alone, so that
it starts at once.
"""

import contextlib
import os
import sys
from pathlib import Path

SIZE = 10_000_000  # bytes of a file
KEPT = 5  # older ones: access.log.1 is the youngest
_CHUNK = 65_536  # bytes


def keep(source: int, path: Path, size: int = SIZE) -> None:
    """Append all that comes from a file descriptor to a file, and begin another when it is full.

    A file that somebody else has renamed or cut is followed. What cannot be written is lost, lest Envoy waits for it.
    """
    while chunk := os.read(source, _CHUNK):
        with contextlib.suppress(OSError), open(path, "ab") as log:
            full = log.tell() + len(chunk) > size
            whole = chunk.rfind(b"\n") + 1 if full else len(chunk)  # no line is torn in two
            log.write(chunk[:whole])
            if full:
                _rotate(path)
                path.write_bytes(chunk[whole:])


def _rotate(path: Path) -> None:
    for number in range(KEPT - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(f"{path.name}.{number}").replace(path.with_name(f"{path.name}.{number + 1}"))
    path.replace(path.with_name(f"{path.name}.1"))


if __name__ == "__main__":
    keep(sys.stdin.fileno(), Path(sys.argv[1]))
