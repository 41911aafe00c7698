"""Waiting for what no signal tells of: a server that starts, a process that ends, a log's next line."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(holds: Callable[[], T], timeout: float, what: str = "it", poll: float = 0.05) -> T:
    """Ask again and again until the answer is true, and return it.

    Args:
        holds: what is asked; an exception of its ends the waiting.
        timeout: s.
        what: is waited for, in words.
        poll: s from one question to the next.

    Raises:
        TimeoutError: the answer was never true.
    """
    deadline = time.monotonic() + timeout
    while not (answer := holds()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {timeout:g} s")
        time.sleep(poll)
    return answer
