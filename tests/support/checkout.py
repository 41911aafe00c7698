"""A copy of this checkout as another user may have it: in another place, on other ports, with an unusual name."""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import psutil
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import TorchServe, java
from mnist_torchserve.waiting import wait_until
from tests.support import bootstrap, environments

USUAL_PORTS = ("8080", "8081", "8082", "7070", "7071", "8000", "8001")

# Files that are not part of the checkout, or that other tests write at the same time.
LEFT_OUT = ["models", ".git", ".venv", ".data", ".run", "logs", "results", "__pycache__", ".*_cache", ".hypothesis"]
LEFT_OUT += ["key_file.json", ".building-*"]


class Checkout:
    """A copy of the repository in `root`, with its servers on `ports` instead of the usual ones."""

    def __init__(self, root: Path, ports: list[int]) -> None:
        self.root = root
        self._ports = dict(zip(USUAL_PORTS, map(str, ports), strict=True))
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
        environments.of_checkout(root)
        bootstrap.load(root).environment.Environment().remember_all()
        config, settings = root / "config.properties", root / "deploy" / "gateway" / "settings.toml"
        for file in (config, settings):
            file.write_text(self.on_own_ports(file.read_text()))
        # Short, since workers have sockets in it; private to this copy, since TorchServe keeps its PID file there.
        self.temporary = tempfile.mkdtemp(prefix="mnist-test-")
        self.variables: dict[str, str] = {}  # additional environment variables of its commands
        self.prefix: list[str] = []  # the start of every command line, to enter a namespace for example
        self.server = TorchServe(config, root / ".run")
        self.gateway = Gateway(self.server, settings=settings, home=root / ".run" / "gateway")

    def on_own_ports(self, text: str) -> str:
        """A command or a setting with the ports of the copy instead of the usual ones."""
        return re.sub(rf"\b({'|'.join(USUAL_PORTS)})\b", lambda match: self._ports[match[0]], text)

    def close(self) -> None:
        """Stop the servers of the copy."""
        self.gateway.stop()
        self.server.stop()
        shutil.rmtree(self.temporary)

    def popen(self, command: str) -> subprocess.Popen[str]:
        """Start a command line as if typed in the root, with the environment activated.

        Its output goes to a file, since a server in the background would keep a pipe open.
        """
        variables = {**os.environ, "PATH": os.pathsep.join([f"{self.root}/.venv/bin", os.environ["PATH"]])}
        variables |= {"JAVA_HOME": java.home(), "TMPDIR": self.temporary, "TEMP": self.temporary}
        variables |= self.variables
        with open(self.root / "output", "w") as output:
            return subprocess.Popen(
                [*self.prefix, "bash", "-c", f"cd {shlex.quote(str(self.root))}\n{command}"],
                cwd=self.root,
                env=variables,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def run(self, command: str, code: int = 0, timeout: float = 120) -> str:
        """Run a command line to its end, check its exit code, and return its output."""
        process = self.popen(command)
        try:
            ended = process.wait(timeout)
        finally:
            process.kill()
        assert ended == code, f"{command} ended with {ended}:\n{self.output()}"
        return self.output()

    def survivors(self) -> list[psutil.Process]:
        """The processes that its commands have started and that still run."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if self.temporary in process.environ().get("TMPDIR", ""):
                    found.append(process)
        return found

    def output(self) -> str:
        """The output of the last command so far."""
        return (self.root / "output").read_text()

    def wait_for_output(self, words: str, times: int = 1, within: float = 90) -> None:
        """Wait until the last command has printed `words` as many as `times`, for at most `within` seconds."""
        try:
            wait_until(lambda: self.output().count(words) >= times, within, f"{words!r} in the output")
        except TimeoutError as error:
            raise AssertionError(f"{error}:\n{self.output()}") from None
