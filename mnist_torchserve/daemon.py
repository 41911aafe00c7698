"""A process that outlives the command that starts it: remembered in a file, found again by the next, ended for good."""

import fcntl
import json
import os
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Self

import psutil
from .ports import is_taken, listener
from .waiting import wait_until

PORTS_TIMEOUT = 5.0  # s


class ServiceError(Exception):
    """A service cannot be started, configured or stopped; the message says why and what to do."""


class StateFile:
    """What remembers a process, and its temporary folder, from one command to the next.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._holder: int | None = None  # the thread that holds it

    def process(self) -> psutil.Process | None:
        """The process, if it runs."""
        state = self._read()
        if state is None or not psutil.pid_exists(state["pid"]):
            return None
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(state["pid"])
            if _birth(process) == state["born"] and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None

    def temporary(self) -> Path:
        """The process's temporary folder.

        Raises:
            FileNotFoundError: no process is remembered.
        """
        state = self._read()
        if state is None:
            raise FileNotFoundError(f"{self._path} remembers no process.")
        return Path(state["temporary"])

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Within, nobody else starts or ends it; what a process that died has left is cleared away first."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError):  # a mount of somebody else's, who says who may read it
            self._path.parent.chmod(0o700)  # state, logs, and the gateway's keys are for this user alone
        with self.held():
            if self.process() is None:
                self._forget()
            yield

    def remember(self, process: psutil.Process, ports: list[int], temporary: str) -> None:
        """Make this the process, with the TCP ports that it listens on; `temporary` is deleted when it is ended."""
        state = {"pid": process.pid, "born": _birth(process), "ports": ports, "temporary": temporary}
        aside = self._path.with_suffix(".new")
        aside.write_text(json.dumps(state))
        aside.replace(self._path)

    def end(self, timeout: float) -> bool:
        """End the process with its children, by force after `timeout` s, and wait until its ports are free.

        Returns:
            Whether there was anything to end.
        """
        if not self._path.parent.is_dir():
            return False
        with self.held():
            process = self.process()
            if process is not None:
                _end(process, timeout)
            self._forget()
            return process is not None

    def _read(self) -> dict[str, Any] | None:
        """What the file says; None where it is missing or damaged."""
        try:
            state: dict[str, Any] = json.loads(self._path.read_text())
            is_whole = {"pid", "born", "ports", "temporary"} <= state.keys()
            # Whatever names this folder is ended with the process, so it must not be everybody's.
            folder = Path(state["temporary"])
            is_own = folder.is_absolute() and len(folder.resolve().parts) > 2
            return state if is_whole and is_own else None
        except (OSError, ValueError, AttributeError, TypeError):
            return None

    def _forget(self) -> None:
        if (state := self._read()) is not None:
            _end_orphans(state["temporary"])
            # What has just died may hold its ports for a moment; longer, somebody else does.
            with suppress(TimeoutError):
                wait_until(lambda: not any(map(is_taken, state["ports"])), PORTS_TIMEOUT)
            shutil.rmtree(state["temporary"], ignore_errors=True)
        self._path.unlink(missing_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, nobody else starts or ends the process."""
        if self._holder == threading.get_ident():
            yield
            return
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            self._holder = threading.get_ident()
            yield
        finally:
            self._holder = None
            os.close(folder)


class Daemon(ABC):
    """What is started in the background, becomes ready, and is stopped without a trace.

    Args:
        state: the file that remembers its process.
        config: the file that says which ports it listens on.
        log: the file that has its last words.
    """

    name: ClassVar[str]  # in a message

    def __init__(self, state: Path, config: Path, log: Path) -> None:
        self._state = StateFile(state)
        self._config = config
        self._log = log
        self.logs = log.parent

    @property
    @abstractmethod
    def ports(self) -> list[int]:
        """The TCP ports that it listens on."""

    def process(self) -> psutil.Process | None:
        """Its process, if it runs."""
        return self._state.process()

    def family(self) -> list[psutil.Process]:
        """Its process and all below it.

        Raises:
            ServiceError: it does not run.
        """
        process = self.process()
        if process is None:
            raise ServiceError(f"{self.name} does not run; its logs are in {self.logs}.")
        return [process, *process.children(recursive=True)]

    def start(self) -> None:
        """Start it; of two starts at once the second finds the first's process running.

        Raises:
            ServiceError: it runs already, a port is taken, or it does not start; the message says which.
        """
        with self._state.starting():
            if (running := self.process()) is not None:
                raise ServiceError(f"Already running: {self.name}, process {running.pid}. End it with scripts/stop.")
            for port in self.ports:
                if is_taken(port):
                    raise ServiceError(
                        f"Port {port} is taken by {listener(port)}: end that, or choose another port in {self._config}."
                    )
            self._launch()

    @abstractmethod
    def _launch(self) -> None:
        """Start its process, and remember it."""

    @abstractmethod
    def wait_ready(self) -> None:
        """Wait until it does its work; ServiceError if it does not."""

    @abstractmethod
    def stop(self) -> bool:
        """Stop it; return whether there was anything to stop."""

    def restart(self) -> None:
        """Stop and start it, and wait until it is ready; who watches it does not take it for ended.

        Raises:
            ServiceError: it does not start, or is not ready.
        """
        with self._state.held():
            self.stop()
            self.start()
        self.wait_ready()

    def has_ended(self) -> bool:
        """Whether it does not run, nor is being restarted."""
        if self.process() is not None:
            return False
        with self._state.held():
            return self.process() is None

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Start, wait until ready, and stop at the end."""
        self.start()
        try:
            self.wait_ready()
            yield self
        finally:
            self.stop()

    def _require_process(self) -> None:
        if self.process() is None:
            said = self._log.read_text().strip().splitlines()
            raise ServiceError(f"{self.name} ended by itself: {said[-1] if said else 'without a word'}")


def _birth(process: psutil.Process) -> str:
    """What tells a process from another that is given its PID later.

    On Linux in ticks since the system booted, since the time of day, which psutil adds, may be set meanwhile.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        return f"{boot} {ticks}"
    except OSError:
        return str(process.create_time())


def _end(process: psutil.Process, timeout: float) -> None:
    with suppress(psutil.NoSuchProcess, TimeoutError):
        family = [process, *process.children(recursive=True)]
        process.terminate()
        with suppress(TimeoutError):
            wait_until(lambda: all(map(_has_ended, family)), timeout)
        for survivor in family:
            with suppress(psutil.NoSuchProcess):
                survivor.kill()
        wait_until(lambda: all(map(_has_ended, family)), timeout)


def _has_ended(process: psutil.Process) -> bool:
    """Whether it does nothing any more; its parent, who may wait for us, has perhaps not asked how it ended."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _end_orphans(temporary: str) -> None:
    """End what a process that died has left: whatever was started with a path in its temporary folder."""
    orphans = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if any(temporary in word for word in process.cmdline()):
                process.kill()
                orphans.append(process)
    psutil.wait_procs(orphans)
