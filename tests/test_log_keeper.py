"""The keeper of a log: bounded files, and no line torn or lost while it is kept."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from mnist_torchserve import log_keeper

SIZE = 1_000  # bytes
LINE = b'{"status":200,"number":%03d}\n'


def kept(path: Path, pieces: Iterable[bytes]) -> list[bytes]:
    """What the files have after these pieces, oldest first."""
    for piece in pieces:
        reader, writer = os.pipe()
        os.write(writer, piece)
        os.close(writer)
        log_keeper.keep(reader, path, SIZE)
        os.close(reader)
    files = [path.with_name(f"access.log.{number}") for number in range(log_keeper.KEPT, 0, -1)]
    return [file.read_bytes() for file in [*files, path] if file.exists()]


def test_full_file_gives_way_to_another_between_two_lines(tmp_path: Path) -> None:
    text = b"".join(LINE % number for number in range(100))
    files = kept(tmp_path / "access.log", [text[start : start + 70] for start in range(0, len(text), 70)])
    assert b"".join(files) == text
    assert len(files) > 2
    assert all(file.endswith(b"\n") and len(file) <= SIZE + 70 for file in files[:-1])


def test_oldest_lines_go(tmp_path: Path) -> None:
    files = kept(tmp_path / "access.log", [LINE % number * 30 for number in range(40)])
    assert len(files) == log_keeper.KEPT + 1
    assert LINE % 39 in files[-1] + files[-2]
    assert sum(map(len, files)) <= (log_keeper.KEPT + 1) * 2 * SIZE


def test_log_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    command = [sys.executable, "-I", log_keeper.__file__, str(tmp_path / "absent" / "access.log")]
    ended = subprocess.run(command, input=LINE * 10_000, capture_output=True, check=True)
    assert ended.stderr == b""


def test_log_that_somebody_else_rotates_is_followed(tmp_path: Path) -> None:
    log, aside = tmp_path / "access.log", tmp_path / "elsewhere"
    kept(log, [LINE % 1])
    log.rename(aside)
    kept(log, [LINE % 2])
    assert (aside.read_bytes(), log.read_bytes()) == (LINE % 1, LINE % 2)
    os.truncate(log, 0)
    kept(log, [LINE % 3])
    assert log.read_bytes() == LINE % 3
