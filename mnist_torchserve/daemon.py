"""A service in the background: it outlives the command that starts it, and another command can stop it."""

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

LOG_TIMEOUT = 10.0  # s until the last output of an ended process is in its log
SHORT = 60  # characters of a folder's path: a socket's path has at most 107, and the name of the socket takes about 40
# Lines that a JVM may print at its start, whether or not it fails.
_NO_ERROR = re.compile(r"(?i)warning|.* warning:|picked up |nvidia-smi |$")


class ServiceError(Exception):
    """A service cannot be started, configured or stopped; the message says why and what to do."""


class Daemon(ABC):
    """A service that is started in the background, becomes ready, and leaves nothing behind when it is stopped.

    Args:
        state: the file that identifies its process.
        config: the file that says which ports it listens on.
        log: the file with its last output.
        output: a file descriptor for its output, instead of files.
    """

    name: ClassVar[str]  # in messages

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
        """The addresses that it listens on."""

    def process(self) -> psutil.Process | None:
        """Its process, if it runs."""
        return self._state.process()

    def family(self) -> list[psutil.Process]:
        """Its process and all descendants.

        Raises:
            ServiceError: it does not run.
        """
        process = self.process()
        if process is None:
            raise ServiceError(f"{self.name} does not run. Its logs are in {self.logs}.")
        return [process, *process.children(recursive=True)]

    def start(self) -> None:
        """Start it. If two commands do this at once, the second finds the process of the first.

        Raises:
            ServiceError: it already runs, cannot listen on an address, or does not start; the message says which.
        """
        with self._state.starting():
            if (running := self.process()) is not None:
                raise ServiceError(f"Already running: {self.name}, process {running.pid}. Stop it with scripts/stop.")
            for address in self.addresses:
                if (obstacle := address.obstacle()) is not None:
                    raise ServiceError(
                        f"{self.name} cannot listen on {address}: {obstacle}. Fix that, or choose another address "
                        f"in {self._config}."
                    )
            log_keeper.rotate(self.logs)
            self.logs.mkdir(parents=True, exist_ok=True)
            usual = tempfile.gettempdir()
            folder = usual if len(usual) <= SHORT else "/tmp"  # noqa: S108 - what is made in it is for this user alone
            temporary = tempfile.mkdtemp(prefix="mnist-", dir=folder)
            try:
                process = self._launch(temporary)
                self._state.remember(process, [address.resolved() for address in self.addresses], temporary)
            except BaseException:
                end_started_with(temporary)
                shutil.rmtree(temporary)
                raise

    @abstractmethod
    def _launch(self, temporary: str) -> psutil.Process:
        """Start its process with this folder as its TMPDIR."""

    @abstractmethod
    def wait_ready(self) -> None:
        """Wait until it is ready; raises ServiceError if it does not become ready."""

    def stop(self) -> bool:
        """Stop it, and wait until its ports are free.

        Returns:
            Whether there was anything to stop.

        Raises:
            ServiceError: it belongs to another user.
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
        """End its process, gracefully if time allows; return whether there was one."""

    def restart(self) -> None:
        """Stop and start it, and wait until it is ready. A command that watches it does not see it as ended.

        Raises:
            ServiceError: it does not start, or does not become ready.
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
        """Whether its own process, and not another one, listens at this address.

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
        """Whether it neither runs nor is being restarted."""
        if self.process() is not None:
            return False
        with self._state.held():
            return self.process() is None

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Start it, wait until it is ready, and stop it at the end of the block."""
        self.start()
        try:
            self.wait_ready()
            yield self
        finally:
            self.stop()

    def _log_of(self, name: str) -> IO[bytes]:
        """The stream for the lines of a log of this run; close it once the process has it."""
        if self._output is not None:
            return open(self._output, "wb", closefd=False)
        self._keepers = [keeper for keeper in self._keepers if keeper.poll() is None]
        self._keepers.append(log_keeper.start(self.logs / name))
        return self._keepers[-1].stdin or open(os.devnull, "wb")

    def _require_process(self) -> None:
        if self.process() is None:
            raise ServiceError(f"{self.name} ended unexpectedly: {self._first_error()}")

    def _first_error(self) -> str:
        """The first error in the log of an ended process."""
        for keeper in self._keepers:
            with suppress(subprocess.TimeoutExpired):
                keeper.wait(LOG_TIMEOUT)
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        said = [line.strip() for line in lines if not _NO_ERROR.match(line)]
        if not said:
            return f"it printed no error; its logs are in {self.logs}"
        # Java's first line says only that an error occurred; the second says which.
        return " ".join(said[:2] if said[0].startswith("Error occurred during initialization") else said[:1])
