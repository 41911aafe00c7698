"""Reads the output of an installer: its figures for the line of progress, its last lines for an error."""

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
_SIZE = re.compile(r"^(\S+) +-+ +([\d.]+) (\w+)/([\d.]+) (\w+)")  # of one of uv's downloads: name, bar, done/whole
_COUNT = re.compile(r"\((\d+)/(\d+)\)")  # of uv's packages
_STYLE = re.compile(r"\x1b\[[\d;]*[A-Za-z]")


def follow(
    command: list[str], variables: dict[str, str], progress: Progress, folder: Path | None = None
) -> tuple[int, str]:
    """Run an installer in a folder. Return its exit code, and its output without progress bars."""
    # It shows the progress of its downloads only on a terminal.
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
    """Return both ends of a terminal that is wide enough to cut nothing, or of a pipe if there is no terminal."""
    try:
        reader, writer = pty.openpty()
    except OSError:  # for example, in a chroot without /dev/pts
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
    except OSError:  # this is how a terminal reports that its writers have ended
        return b""
