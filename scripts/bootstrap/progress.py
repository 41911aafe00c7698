"""One line that says how far something is: rewritten in a terminal, else continued step by step."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import suppress


class Progress:
    """The line, on standard error: standard output is for what a command answers.

    Args:
        title: its beginning.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun: float | None = None
        self._steps = self._total = 0
        self._name = ""

    def begin(self, total: int) -> None:
        """Begin with the first of so many steps."""
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
        """Say how far this step is, where somebody looks."""
        if _is_terminal():
            line = f"{self._title}: {self._steps} of {self._total}, {self._name}{figures and ', '}{figures}"
            self._print(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}")

    def say(self, text: str) -> None:
        """Say something on a line of its own."""
        self._print(f"\r\033[K{text}\n" if _is_terminal() else f"\n{text}\n")

    def end(self) -> None:
        """End the line."""
        if self._begun is not None:
            took = f"{time.monotonic() - self._begun:.0f} s"
            self._print(f"\r\033[K{self._title}: {took}\n" if _is_terminal() else f", {took}\n")

    def _print(self, text: str) -> None:
        with suppress(OSError, ValueError):  # nobody is left to read it
            print(text, end="", file=sys.stderr, flush=True)


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
