"""A process that outlives the script that starts it: remembered in a file, found again by the next, ended for good."""

import json
import shutil
import time
from pathlib import Path

import psutil
from ports import is_taken

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
        try:
            state = json.loads(self._state.read_text())
            process = psutil.Process(state["pid"])
        except (OSError, ValueError, psutil.NoSuchProcess):
            return None
        # A PID is given again; its time of creation is not.
        same = process.create_time() == state["created"] and process.status() != psutil.STATUS_ZOMBIE
        return process if same else None

    def temporary(self) -> Path:
        """Its temporary folder.

        Raises:
            FileNotFoundError: no process is remembered.

        """
        return Path(json.loads(self._state.read_text())["temporary"])

    def remember(self, process: psutil.Process, ports: list[int], temporary: str) -> None:
        """Make this the process, with the TCP ports that it listens on; `temporary` is deleted when it is ended."""
        state = {"pid": process.pid, "created": process.create_time(), "ports": ports, "temporary": temporary}
        self._state.write_text(json.dumps(state))

    def end(self, timeout: float) -> bool:
        """End it with its children, by force after `timeout` s, and wait until its ports are free.

        Returns:
            Whether there was anything to end.

        """
        process = self.process()
        if process is not None:
            family = [process, *process.children(recursive=True)]
            process.terminate()
            _, alive = psutil.wait_procs(family, timeout=timeout)
            for survivor in alive:
                survivor.kill()
            psutil.wait_procs(alive)
        if self._state.exists():
            state = json.loads(self._state.read_text())
            while process is not None and any(is_taken(port) for port in state["ports"]):
                time.sleep(_POLL)
            shutil.rmtree(state["temporary"], ignore_errors=True)
            self._state.unlink()
        return process is not None
