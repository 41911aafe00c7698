"""Waiting for events without a notification: a server that becomes ready, a process that ends, a new line in a log."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(holds: Callable[[], T], timeout: float, what: str = "it", poll: float = 0.05) -> T:
    """Call `holds` until it returns a true value, and return that.

    Args:
        holds: the condition; if it raises an exception, the wait ends.
        timeout: s.
        what: the event, for the message.
        poll: s between two calls.

    Raises:
        TimeoutError: the value was never true.
    """
    deadline = time.monotonic() + timeout
    while not (answer := holds()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {timeout:g} s")
        time.sleep(poll)
    return answer
