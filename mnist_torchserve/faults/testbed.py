"""The service under test: TorchServe on free ports, with its own files and with the gateway in front."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import psutil
import requests
from mnist_torchserve.contract import MNIST, Deployment
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.service import TorchServe
from mnist_torchserve.waiting import wait_until

GATEWAY = "gateway"
TORCHSERVE = "TorchServe alone"
# s after which a request without an answer counts as hanging: longer than the gateway's deadline, and longer than
# responseTimeout in handler/model-config.yaml plus the start of a worker.
DEADLINES = {GATEWAY: 7.0, TORCHSERVE: 20.0}
WHOLE_TIMEOUT = 60.0  # s


class Testbed:
    """A node with MNIST's model, or two, and the gateway.

    Args:
        folder: for all their files.
        trusted_proxies: how many stand in front of the gateway.
    """

    def __init__(self, folder: Path, trusted_proxies: int = 0) -> None:
        self.folder = folder
        self.server = TorchServe.on_free_ports(folder / "node", load_models=f"{MNIST}.mar")
        self.gateway = Gateway.on_free_ports(folder / "gateway", self.server, trusted_proxies=trusted_proxies)
        self._workers_wanted = 0

    @contextmanager
    def running(self) -> Iterator["Testbed"]:
        """Start both; stop both at the end of the block."""
        with ExitStack() as stack:
            for service in (self.server, self.gateway):
                stack.callback(service.stop)
                service.start()
                service.wait_ready()
            self._workers_wanted = len(self._states())
            self.wait_whole()
            yield self

    def deployment(self, face: str) -> Deployment:
        """This face of the service, as a client sees it."""
        if face == GATEWAY:
            return Deployment.gateway(self.gateway.url)
        return Deployment.torchserve(self.server.inference_url, self.server.management_url, MNIST)

    def jvm(self) -> psutil.Process:
        """The process of the JVM; raises ServiceError if it does not run."""
        return self.server.family()[0]

    def dropped(self, since: datetime) -> int:
        """The number of requests that the gateway accepted since then and never answered, according to its log."""
        logs = [file.read_text() for file in self.gateway.logs.parent.glob("logs*/access.log*")]  # of all runs
        unanswered = [line for log in logs for line in log.splitlines() if '"status":0,' in line]
        return sum(datetime.fromisoformat(json.loads(line)["time"]) >= since for line in unanswered)

    def memory(self) -> int:
        """The resident memory of all processes, in bytes."""
        return sum(member.memory_info().rss for member in (*self.server.family(), *self.gateway.family()))

    def is_whole(self) -> bool:
        """Whether every worker runs and is READY."""
        try:
            states = self._states()
            # For a moment TorchServe still reports ended workers as READY.
            alive = {worker.pid for worker in self.server.workers() if worker.status() != psutil.STATUS_ZOMBIE}
        except (requests.RequestException, LookupError, ValueError, psutil.NoSuchProcess, ServiceError):
            return False
        return len(states) == self._workers_wanted and set(states) <= alive and set(states.values()) == {"READY"}

    def wait_whole(self) -> None:
        """Wait until every worker is READY.

        Raises:
            ServiceError: a worker is not READY after WHOLE_TIMEOUT.
        """
        try:
            wait_until(self.is_whole, WHOLE_TIMEOUT)
        except TimeoutError:
            logs = self.server.logs
            raise ServiceError(f"Not every worker is READY after {WHOLE_TIMEOUT:.0f} s; see {logs}.") from None

    def _states(self) -> dict[int, str]:
        states = map(self.server.model_state, self.server.models)
        return {worker["pid"]: worker["status"] for state in states for worker in state["workers"]}
