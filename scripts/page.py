"""A page of documentation that a script writes below what is written by hand."""

import platform
from collections.abc import Sequence
from pathlib import Path

import psutil


def write_below(path: Path, mark: str, text: str) -> None:
    """Put a text in place of all that stands below a line of a page."""
    by_hand = path.read_text().partition(mark)[0]
    path.write_text(by_hand + mark + text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """The machine in words."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return f"{psutil.cpu_count()} cores of {model}, {psutil.virtual_memory().total / 2**30:.0f} GiB"
