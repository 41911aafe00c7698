"""Markdown that commands write: tables, and the part of a page below a mark."""

from collections.abc import Sequence
from pathlib import Path


def write_below(path: Path, mark: str, text: str) -> None:
    """Replace everything below a mark on a page with a text.

    Raises:
        ValueError: the page does not contain the mark.
    """
    by_hand, found, _ = path.read_text(encoding="utf-8").partition(mark)
    if not found:
        raise ValueError(f"{path} has no line `{mark.strip()}`. Restore that line; the output is written below it.")
    path.write_text(f"{by_hand}{mark}{text}", encoding="utf-8")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that is also readable as plain text: the first column aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rules = ["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]
    return "\n".join([_line(header, widths), f"|{'|'.join(rules)}|", *(_line(row, widths) for row in rows)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        f"{cell:{'>' if place else '<'}{width}}" for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join([first, *others])} |"
