"""The service under test: TorchServe with files of its own on free ports, its gateway in front."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import gateway
import psutil
import requests
import server
import workers
from gateway import Gateway, node_of
from ports import free_ports
from server import Server, ServerError

GATEWAY = "gateway"
TORCHSERVE = "TorchServe alone"
# s after which a request that nobody has answered is called hanging: a margin above the gateway's deadline; and above
# the responseTimeout of handler/model-config.yaml, with a worker's start.
DEADLINES = {GATEWAY: 7.0, TORCHSERVE: 20.0}
WHOLE_TIMEOUT = 60.0  # s
_POLL = 0.05  # s


class Rig:
    """A node, or two, and the gateway.

    Args:
        folder: for all their files.
        template: the gateway's configuration.

    """

    def __init__(self, folder: Path, template: Path = gateway.FOLDER / "envoy.yaml") -> None:
        self.folder = folder
        self.server = make_server(folder / "node")
        settings = folder / "settings.toml"
        listen, metrics = free_ports(2)
        settings.write_text(f'listen = "127.0.0.1:{listen}"\nmetrics = "127.0.0.1:{metrics}"\n')
        self.gateway = Gateway([node_of(self.server)], settings, template, folder / "gateway")
        self.workers_wanted = 0

    @contextmanager
    def running(self) -> Iterator["Rig"]:
        """Start both, and stop both at the end."""
        with ExitStack() as stack:
            for service in (self.server, self.gateway):
                stack.callback(service.stop)
                service.start()
                service.wait_ready()
            self.workers_wanted = len(self._states())
            self.wait_whole()
            yield self

    def url(self, face: str) -> str:
        """Where this face of the service predicts."""
        return (self.gateway if face == GATEWAY else self.server).predict_url

    def jvm(self) -> psutil.Process:
        """The JVM.

        Raises:
            ServerError: it does not run.

        """
        process = self.server.process()
        if process is None:
            raise ServerError(f"TorchServe ended by itself; its logs are in {self.server.logs}.")
        return process

    def workers(self) -> list[psutil.Process]:
        """The worker processes."""
        return workers.workers(self.server)

    def family(self) -> list[psutil.Process]:
        """All processes of the service."""
        envoy = self.gateway.process()
        roots = [self.jvm(), *([envoy] if envoy else [])]
        return [member for root in roots for member in (root, *root.children(recursive=True))]

    def dropped(self) -> int:
        """Requests that the gateway has taken and never answered, as its log has it."""
        return self.gateway.access_log.read_bytes().count(b'"status":0,')

    def memory(self) -> int:
        """Resident bytes of all processes."""
        return sum(member.memory_info().rss for member in self.family())

    def is_whole(self) -> bool:
        """Whether every worker is there and READY."""
        try:
            states = self._states()
            # For a moment TorchServe calls those READY that are no more.
            alive = {worker.pid for worker in self.workers() if worker.status() != psutil.STATUS_ZOMBIE}
        except (requests.RequestException, LookupError, ValueError, psutil.NoSuchProcess):
            return False
        return len(states) == self.workers_wanted and set(states) <= alive and set(states.values()) == {"READY"}

    def wait_whole(self) -> None:
        """Wait until every worker is READY.

        Raises:
            ServerError: some is not, after WHOLE_TIMEOUT.

        """
        deadline = time.monotonic() + WHOLE_TIMEOUT
        while not self.is_whole():
            if time.monotonic() > deadline:
                raise ServerError(f"Not every worker is READY after {WHOLE_TIMEOUT:.0f} s; see {self.server.logs}.")
            time.sleep(_POLL)

    def _states(self) -> dict[int, str]:
        answer = requests.get(f"{self.server.management_url}/models/mnist", timeout=2).json()
        return {worker["pid"]: worker["status"] for worker in answer[0]["workers"]}


def make_server(home: Path) -> Server:
    """A node with our settings on free ports."""
    home.mkdir()
    return Server(server.config_on_free_ports(home, server.read_properties(server.CONFIG)), home)
