"""The processes of a server: stuck, healthy or ended."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psutil
from mnist_torchserve.service import TorchServe, health


@contextmanager
def stuck(server: TorchServe, model: str | None = None) -> Iterator[None]:
    """In the block, all workers of the server, or those of one model, are suspended."""
    suspended = server.workers()
    if model is not None:
        theirs = {worker["pid"] for worker in server.model_state(model)["workers"]}
        suspended = [worker for worker in suspended if worker.pid in theirs]
    for worker in suspended:
        worker.suspend()
    try:
        yield
    finally:
        for worker in suspended:
            worker.resume()


def is_well(server: TorchServe, model: str | None = None) -> bool:
    """Whether the health check of a model succeeds, of the first one if none is named."""
    try:
        health.check(server.management_url, model or server.models[0])
    except health.UnhealthyError:
        return False
    return True


def have_ended(processes: Iterable[psutil.Process]) -> bool:
    """Whether all of them have ended."""
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)
