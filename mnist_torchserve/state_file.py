"""A state file identifies a process, so that a later command can find it and end it."""

import fcntl
import json
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from .ports import Address
from .waiting import wait_until

PORTS_TIMEOUT = 5.0  # s
_MARK = "TMPDIR"  # the environment variable that shows which folder a process was started with


class StateFile:
    """The state of one process and its temporary folder.

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
            FileNotFoundError: the file names no process.
        """
        state = self._read()
        if state is None:
            raise FileNotFoundError(f"{self._path} names no process.")
        return Path(state["temporary"])

    def exists(self) -> bool:
        """Whether the folder for it exists; raises PermissionError if that belongs to another user."""
        with suppress(FileNotFoundError):
            os.close(os.open(self._path.parent, os.O_RDONLY))
            return True
        return False

    @contextmanager
    def starting(self) -> Iterator[None]:
        """In the block, no other command starts or ends the process. It first cleans up after a process that died."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError):  # the folder is a mount that belongs to another user
            self._path.parent.chmod(0o700)  # only this user may read state, logs and the gateway's keys
        with self.held():
            if self.process() is None:
                self._forget()
            yield

    def remember(self, process: psutil.Process, addresses: Sequence[Address], temporary: str) -> None:
        """Write down the process and the addresses that it listens on.

        When the process is ended, `temporary` is deleted, and every process with this folder as its TMPDIR is ended.
        """
        listens = list(map(str, addresses))
        state = {"pid": process.pid, "born": _birth(process), "addresses": listens, "temporary": temporary}
        aside = self._path.with_suffix(".new")
        aside.write_text(json.dumps(state))
        aside.replace(self._path)

    def end(self, timeout: float) -> bool:
        """End the process and its children, by force after `timeout` s, and wait until its ports are free.

        Returns:
            Whether there was anything to end.
        """
        with self.held():
            process = self.process()
            if process is not None:
                _end(process, timeout)
            self._forget()
            return process is not None

    @contextmanager
    def held(self) -> Iterator[None]:
        """In the block, no other command starts or ends the process."""
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

    def _read(self) -> dict[str, Any] | None:
        """The content of the file; None if it is missing or damaged."""
        try:
            state: dict[str, Any] = json.loads(self._path.read_text())
            is_whole = {"pid", "born", "temporary"} <= state.keys()
            # This folder will be deleted with its content, so it must not be one that others use.
            folder = Path(state["temporary"])
            is_own = folder.is_absolute() and len(folder.resolve().parts) > 2
            return state if is_whole and is_own else None
        except (OSError, ValueError, AttributeError, TypeError):
            return None

    def _forget(self) -> None:
        if (state := self._read()) is not None:
            end_started_with(state["temporary"])
            # An ended process may keep its ports for a moment. After that, another process has them.
            with suppress(TimeoutError):
                listened = [Address.parse(address) for address in state.get("addresses", [])]
                wait_until(lambda: not any(address.is_taken() for address in listened), PORTS_TIMEOUT)
            shutil.rmtree(state["temporary"], ignore_errors=True)
        self._path.unlink(missing_ok=True)


def end_started_with(temporary: str) -> None:
    """End every process that was started with this folder as its TMPDIR; the folder must be private to the service."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.environ().get(_MARK) == temporary:
                process.kill()
                found.append(process)
    psutil.wait_procs(found)


def _birth(process: psutil.Process) -> str:
    """The start of a process, which distinguishes it from a later process with the same PID.

    On Linux it is in ticks since the boot. The time of day, which psutil uses, may be set in between.
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
        try:
            process.terminate()
            with suppress(TimeoutError):
                wait_until(lambda: all(map(_has_ended, family)), timeout)
        finally:  # also if the user interrupts the wait
            for survivor in family:
                with suppress(psutil.NoSuchProcess):
                    survivor.kill()
            wait_until(lambda: all(map(_has_ended, family)), timeout)


def _has_ended(process: psutil.Process) -> bool:
    """Whether a process has ended. It may be a zombie, if its parent has not read its exit code or waits for us."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
