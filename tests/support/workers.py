"""A server's worker processes, to be stuck as they may be in real life."""

from collections.abc import Iterator
from contextlib import contextmanager

from mnist_torchserve.service import TorchServe


@contextmanager
def stuck(server: TorchServe) -> Iterator[None]:
    """Within, no worker of the server does anything."""
    suspended = server.workers()
    for worker in suspended:
        worker.suspend()
    try:
        yield
    finally:
        for worker in suspended:
            worker.resume()
