"""One line that shows progress: rewritten in a terminal, otherwise continued step by step."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import suppress


class Progress:
    """The line, on standard error, since standard output is for the results of a command.

    Args:
        title: its beginning.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun: float | None = None
        self._steps = self._total = 0
        self._name = ""

    def begin(self, total: int) -> None:
        """Begin the line, for this many steps."""
        self._begun, self._total = time.monotonic(), total
        self._print(self._title if _is_terminal() else f"{self._title}:")

    def step(self, name: str) -> None:
        """Begin the next step."""
        self._steps += 1
        self._name = name
        if _is_terminal():
            self.at("")
        else:
            self._print(f" {self._steps}/{self._total} {name}")

    def at(self, figures: str) -> None:
        """Show how far this step is, in a terminal."""
        if _is_terminal():
            line = f"{self._title}: {self._steps} of {self._total}, {self._name}{figures and ', '}{figures}"
            self._print(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}")

    def say(self, text: str) -> None:
        """Print a message on a separate line."""
        self._print(f"\r\033[K{text}\n" if _is_terminal() else f"\n{text}\n")

    def end(self) -> None:
        """End the line."""
        if self._begun is not None:
            took = f"{time.monotonic() - self._begun:.0f} s"
            self._print(f"\r\033[K{self._title}: {took}\n" if _is_terminal() else f", {took}\n")

    def _print(self, text: str) -> None:
        with suppress(OSError, ValueError):  # nobody reads it any more
            print(text, end="", file=sys.stderr, flush=True)


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
