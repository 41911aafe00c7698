"""A process that outlives the script that starts it: remembered in a file, found again by the next, ended for good."""

import fcntl
import json
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil
from ports import is_taken

PORTS_TIMEOUT = 5.0  # s
_POLL = 0.05  # s


class Daemon:
    """The process that a state file remembers, with a temporary folder of its own.

    Args:
        state: the file.

    """

    def __init__(self, state: Path) -> None:
        self._state = state

    def process(self) -> psutil.Process | None:
        """The process, if it runs."""
        state = self._remembered()
        if state is None or not psutil.pid_exists(state["pid"]):
            return None
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(state["pid"])
            # A PID is given again; its time of creation is not.
            if process.create_time() == state["created"] and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None

    def temporary(self) -> Path:
        """Its temporary folder.

        Raises:
            FileNotFoundError: no process is remembered.

        """
        state = self._remembered()
        if state is None:
            raise FileNotFoundError(f"{self._state} remembers no process.")
        return Path(state["temporary"])

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Within, nobody else starts or ends it; what a process that died has left is cleared away first."""
        self._state.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            if self.process() is None:
                self._forget()
            yield

    def remember(self, process: psutil.Process, ports: list[int], temporary: str) -> None:
        """Make this the process, with the TCP ports that it listens on; `temporary` is deleted when it is ended."""
        state = {"pid": process.pid, "created": process.create_time(), "ports": ports, "temporary": temporary}
        aside = self._state.with_suffix(".new")
        aside.write_text(json.dumps(state))
        aside.replace(self._state)

    def end(self, timeout: float) -> bool:
        """End it with its children, by force after `timeout` s, and wait until its ports are free.

        Returns:
            Whether there was anything to end.

        """
        if not self._state.parent.is_dir():
            return False
        with self._alone():
            process = self.process()
            if process is not None:
                _end(process, timeout)
            self._forget()
            return process is not None

    def _remembered(self) -> dict[str, Any] | None:
        """What the state file says; None where it is missing or damaged."""
        try:
            state: dict[str, Any] = json.loads(self._state.read_text())
            return state if {"pid", "created", "ports", "temporary"} <= state.keys() else None
        except (OSError, ValueError, AttributeError):
            return None

    def _forget(self) -> None:
        if (state := self._remembered()) is not None:
            _end_orphans(state["temporary"])
            # What has just died may hold its ports for a moment; longer, somebody else does.
            deadline = time.monotonic() + PORTS_TIMEOUT
            while any(is_taken(port) for port in state["ports"]) and time.monotonic() < deadline:
                time.sleep(_POLL)
            shutil.rmtree(state["temporary"], ignore_errors=True)
        self._state.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        folder = os.open(self._state.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


class Service(ABC):
    """What is started in the background, becomes ready, and is stopped without a trace.

    Args:
        state: the file that remembers its process.

    """

    def __init__(self, state: Path) -> None:
        self._daemon = Daemon(state)

    def process(self) -> psutil.Process | None:
        """Its process, if it runs."""
        return self._daemon.process()

    def start(self) -> None:
        """Start it; of two starts at once the second finds the first's process running.

        Raises:
            ServerError: it runs already, a port is taken, or it does not start; the message says which.

        """
        with self._daemon.starting():
            self._launch()

    @abstractmethod
    def _launch(self) -> None:
        """Start its process, and remember it."""

    @abstractmethod
    def wait_ready(self) -> None:
        """Wait until it does its work."""

    @abstractmethod
    def stop(self) -> bool:
        """Stop it; return whether there was anything to stop."""

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Start, wait until ready, and stop at the end."""
        self.start()
        try:
            self.wait_ready()
            yield self
        finally:
            self.stop()


def _end(process: psutil.Process, timeout: float) -> None:
    with suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        process.terminate()
        _, alive = psutil.wait_procs(family, timeout=timeout)
        for survivor in alive:
            survivor.kill()
        psutil.wait_procs(alive)


def _end_orphans(temporary: str) -> None:
    """End what a process that died has left: whatever was started with a path in its temporary folder."""
    orphans = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if any(temporary in word for word in process.cmdline()):
                process.kill()
                orphans.append(process)
    psutil.wait_procs(orphans)
