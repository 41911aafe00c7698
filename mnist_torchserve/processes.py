"""Processes that work for a command: Ctrl-C reaches the command alone, which then ends them."""

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from multiprocessing.pool import Pool


@contextmanager
def pool(size: int) -> Iterator[Pool]:
    """Yield a pool of so many new processes, and end them after the block."""
    spawn = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    resource_tracker.ensure_running()  # when it starts, it lets signals through
    with ExitStack() as stack:
        # A process inherits what is held back here, and so it holds it back from its first instruction on.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            opened = stack.enter_context(spawn.Pool(size))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield opened
