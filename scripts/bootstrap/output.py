"""What an installer says while it works: its figures for the line of progress, its last words for an error."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

from .progress import Progress

_MEBI = {"B": 2**-20, "KiB": 2**-10, "MiB": 1.0, "GiB": 2**10}
_SIZE = re.compile(r"^(\S+) +-+ +([\d.]+) (\w+)/([\d.]+) (\w+)")  # of a download of uv's: name, bar, done/whole
_COUNT = re.compile(r"\((\d+)/(\d+)\)")  # of uv's packages
_STYLE = re.compile(r"\x1b\[[\d;]*[A-Za-z]")


def follow(
    command: list[str], variables: dict[str, str], progress: Progress, folder: Path | None = None
) -> tuple[int, str]:
    """Run an installer in a folder; return its exit code, and what it has said without what it drew."""
    # To a terminal alone it says how far its downloads are.
    reader, writer = _terminal()
    with open(reader, "rb", buffering=0) as stream:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**variables, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
        )
        os.close(writer)
        try:
            said = _read(stream.fileno(), progress)
            return process.wait(), said
        except BaseException:
            process.terminate()
            process.wait()
            raise


def _terminal() -> tuple[int, int]:
    """Both ends of a terminal, wide enough that nothing is cut; of a pipe where there is none."""
    try:
        reader, writer = pty.openpty()
    except OSError:  # as in a chroot without /dev/pts
        return os.pipe()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 100, 1000, 0, 0))
    return reader, writer


def _read(stream: int, progress: Progress) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    said, rest, count = [], "", ""
    sizes: dict[str, tuple[float, float]] = {}
    while data := _next(stream):
        *lines, rest = re.split(r"[\r\n]+", _STYLE.sub("\n", rest + decoder.decode(data)))
        for line in map(str.strip, lines):
            if found := _SIZE.match(line):
                name, done, unit, whole, unit_of_whole = found.groups()
                sizes[name] = float(done) * _MEBI[unit], float(whole) * _MEBI[unit_of_whole]
            elif found := _COUNT.search(line):
                count = f"{found[1]} of {found[2]} packages"
            elif line:
                said.append(line)
        progress.at(", ".join(filter(None, [count, _megabytes(list(sizes.values()))])))
    return "\n".join([*said, rest.strip()])


def _megabytes(sizes: list[tuple[float, float]]) -> str:
    return f"{sum(done for done, _ in sizes):.0f} of {sum(whole for _, whole in sizes):.0f} MB" if sizes else ""


def _next(stream: int) -> bytes:
    try:
        return os.read(stream, 2**16)
    except OSError:  # how a terminal says that nobody writes any more
        return b""
