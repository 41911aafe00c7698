"""A service in the background: it outlives the command that starts it, becomes ready, and is stopped for good."""

import getpass
import os
import re
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, ClassVar, Self

import psutil
from . import log_keeper
from .ports import Address
from .state_file import StateFile, end_started_with

LOG_TIMEOUT = 10.0  # s until the last words of a process that has ended are in its log
SHORT = 60  # characters of a folder's path; a socket's has at most 107, of which the name in it takes some 40
# What a JVM says before it does anything, in vain or not.
_NO_ERROR = re.compile(r"(?i)warning|.* warning:|picked up |nvidia-smi |$")


class ServiceError(Exception):
    """A service cannot be started, configured or stopped; the message says why and what to do."""


class Daemon(ABC):
    """What is started in the background, becomes ready, and is stopped without a trace.

    Args:
        state: the file that remembers its process.
        config: the file that says which ports it listens on.
        log: the file that has its last words.
        output: a file descriptor for what it says, in place of files.
    """

    name: ClassVar[str]  # in a message

    def __init__(self, state: Path, config: Path, log: Path, output: int | None = None) -> None:
        self._output = output
        self._state = StateFile(state)
        self.home = state.parent
        self._config = config
        self._log = log
        self._keepers: list[subprocess.Popen[bytes]] = []
        self.logs = log.parent

    @property
    @abstractmethod
    def addresses(self) -> Sequence[Address]:
        """Where it listens."""

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
            ServiceError: it runs already, cannot listen on an address, or does not start; the message says which.
        """
        with self._state.starting():
            if (running := self.process()) is not None:
                raise ServiceError(f"Already running: {self.name}, process {running.pid}. End it with scripts/stop.")
            for address in self.addresses:
                if (obstacle := address.obstacle()) is not None:
                    raise ServiceError(
                        f"{self.name} cannot listen on {address}: {obstacle}. Change that, or choose another address "
                        f"in {self._config}."
                    )
            log_keeper.rotate(self.logs)
            self.logs.mkdir(parents=True, exist_ok=True)
            usual = tempfile.gettempdir()
            temporary = tempfile.mkdtemp(prefix="mnist-", dir=usual if len(usual) <= SHORT else "/tmp")  # noqa: S108
            try:
                process = self._launch(temporary)
                self._state.remember(process, [address.resolved() for address in self.addresses], temporary)
            except BaseException:
                end_started_with(temporary)
                shutil.rmtree(temporary)
                raise

    @abstractmethod
    def _launch(self, temporary: str) -> psutil.Process:
        """Start its process, with this folder as its TMPDIR."""

    @abstractmethod
    def wait_ready(self) -> None:
        """Wait until it does its work; ServiceError if it does not."""

    def stop(self) -> bool:
        """Stop it, and wait until its ports are free.

        Returns:
            Whether there was anything to stop.

        Raises:
            ServiceError: it is another user's.
        """
        try:
            if not self._state.exists():
                return False
        except PermissionError:
            raise ServiceError(
                f"{self.home} belongs to {self.home.owner()}, who alone can stop {self.name}; "
                f"this is {getpass.getuser()}."
            ) from None
        with self._state.held():
            ended = self._end()
        for keeper in self._keepers:
            with suppress(subprocess.TimeoutExpired):
                keeper.wait(LOG_TIMEOUT)
        return ended

    @abstractmethod
    def _end(self) -> bool:
        """End its process, gently if there is time; return whether there was any."""

    def restart(self) -> None:
        """Stop and start it, and wait until it is ready; who watches it does not take it for ended.

        Raises:
            ServiceError: it does not start, or is not ready.
        """
        with self._state.held():
            self._end()
            self.start()
        try:
            self.wait_ready()
        except BaseException:
            with self._state.held():
                self._end()
            raise

    def listens(self, address: Address) -> bool:
        """Whether its own process listens there; another's answers are not its own.

        Args:
            address: as this machine reaches it.
        """
        process = self.process()
        if process is None:
            return False
        with suppress(psutil.Error):
            for each in process.net_connections("tcp"):
                if each.status == psutil.CONN_LISTEN and Address(*each.laddr).hears(address):
                    return True
        return False

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

    def _log_of(self, name: str) -> IO[bytes]:
        """What takes the lines of a log of this run, to be closed once its process has it."""
        if self._output is not None:
            return open(self._output, "wb", closefd=False)
        self._keepers = [keeper for keeper in self._keepers if keeper.poll() is None]
        self._keepers.append(log_keeper.start(self.logs / name))
        return self._keepers[-1].stdin or open(os.devnull, "wb")

    def _require_process(self) -> None:
        if self.process() is None:
            raise ServiceError(f"{self.name} ended by itself: {self._first_error()}")

    def _first_error(self) -> str:
        """What a process that has ended complained of first."""
        for keeper in self._keepers:
            with suppress(subprocess.TimeoutExpired):
                keeper.wait(LOG_TIMEOUT)
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        said = [line.strip() for line in lines if not _NO_ERROR.match(line)]
        if not said:
            return f"without a word; its logs are in {self.logs}"
        # Java's first line of two says no more than that there is a second.
        return " ".join(said[:2] if said[0].startswith("Error occurred during initialization") else said[:1])
