"""A server's worker processes, to be stuck or killed as they may be in real life."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from server import Server


def workers(server: Server) -> list[psutil.Process]:
    """The worker processes of a running server."""
    jvm = server.process()
    assert jvm is not None
    return [child for child in jvm.children(recursive=True) if "model_service_worker" in _command(child)]


@contextmanager
def stuck(server: Server) -> Iterator[None]:
    """Within, no worker of the server does anything."""
    suspended = workers(server)
    for worker in suspended:
        worker.suspend()
    try:
        yield
    finally:
        for worker in suspended:
            worker.resume()


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return ""
