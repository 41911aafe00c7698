"""A server's processes: stuck as they may be in real life, well, or gone."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psutil
from mnist_torchserve.service import TorchServe, health


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


def is_well(server: TorchServe) -> bool:
    """Whether its health says so."""
    try:
        health.check(server.management_url, server.models[0])
    except health.UnhealthyError:
        return False
    return True


def have_ended(processes: Iterable[psutil.Process]) -> bool:
    """Whether none of them runs any more."""
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)
