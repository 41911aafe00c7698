"""What remembers a process from one command to the next, so that another can find it and end it for good."""

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
_MARK = "TMPDIR"  # the variable of the environment by which a process is known for one that was started with a folder


class StateFile:
    """The memory of one process and its temporary folder.

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

    def exists(self) -> bool:
        """Whether there is a folder for it; PermissionError if that is another user's."""
        with suppress(FileNotFoundError):
            os.close(os.open(self._path.parent, os.O_RDONLY))
            return True
        return False

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

    def remember(self, process: psutil.Process, addresses: Sequence[Address], temporary: str) -> None:
        """Make this the process, with the addresses that it listens on.

        `temporary` is deleted when it is ended, and whatever was started with that in its environment as TMPDIR ends.
        """
        listens = list(map(str, addresses))
        state = {"pid": process.pid, "born": _birth(process), "addresses": listens, "temporary": temporary}
        aside = self._path.with_suffix(".new")
        aside.write_text(json.dumps(state))
        aside.replace(self._path)

    def end(self, timeout: float) -> bool:
        """End the process with its children, by force after `timeout` s, and wait until its ports are free.

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

    def _read(self) -> dict[str, Any] | None:
        """What the file says; None where it is missing or damaged."""
        try:
            state: dict[str, Any] = json.loads(self._path.read_text())
            is_whole = {"pid", "born", "temporary"} <= state.keys()
            # It is deleted with all that is in it, so it must not be everybody's.
            folder = Path(state["temporary"])
            is_own = folder.is_absolute() and len(folder.resolve().parts) > 2
            return state if is_whole and is_own else None
        except (OSError, ValueError, AttributeError, TypeError):
            return None

    def _forget(self) -> None:
        if (state := self._read()) is not None:
            end_started_with(state["temporary"])
            # What has just died may hold its ports for a moment; longer, somebody else does.
            with suppress(TimeoutError):
                listened = [Address.parse(address) for address in state.get("addresses", [])]
                wait_until(lambda: not any(address.is_taken() for address in listened), PORTS_TIMEOUT)
            shutil.rmtree(state["temporary"], ignore_errors=True)
        self._path.unlink(missing_ok=True)


def end_started_with(temporary: str) -> None:
    """End whatever was started with this as its folder for temporary files, and that folder was made for it alone."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.environ().get(_MARK) == temporary:
                process.kill()
                found.append(process)
    psutil.wait_procs(found)


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
        try:
            process.terminate()
            with suppress(TimeoutError):
                wait_until(lambda: all(map(_has_ended, family)), timeout)
        finally:  # also where somebody does not want to wait so long
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
