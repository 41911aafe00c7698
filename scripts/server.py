"""TorchServe as a process: started from a config.properties, ready, stopped without a trace."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import environment
import health
import psutil
import requests
from daemon import Service
from environment import ROOT
from ports import free_ports, is_taken, listener

START_TIMEOUT = 90.0  # s until the first prediction, on a slow machine
STOP_TIMEOUT = 20.0  # s that the JVM gets to end by itself
DRAIN_TIMEOUT = 5.0  # s until those who wait are answered, as long as the gateway lets anybody wait
BATCH_TIME = 0.1  # s, much more than a worker takes for a batch, and nobody tells when it has ended
_POLL = 0.05  # s
CONFIG = ROOT / "config.properties"
# How the names begin of what is passed on: user and language, and settings of the loader, the heap and processors.
PASSED_ON = ("HOME", "USER", "LOGNAME", "LANG", "LC_", "TZ", "LD_", "CUDA_", "NVIDIA_", "OMP_", "MALLOC_")


class ServerError(Exception):
    """The server cannot be started or stopped; the message says why and what to do."""


class Server(Service):
    """One TorchServe instance.

    Args:
        config: its config.properties.
        home: folder for its state and its logs.
        model_store: folder of the archives that it may load.
        log_config: settings of its logs; None for TorchServe's own.
    """

    name = "TorchServe"

    def __init__(
        self,
        config: Path = CONFIG,
        home: Path = ROOT / ".run",
        model_store: Path = ROOT / "model_store",
        log_config: Path | None = ROOT / "log4j2.xml",
    ) -> None:
        super().__init__(home / "server.json")
        self._config = config
        self._model_store = model_store
        self._log_config = log_config
        self._properties = read_properties(config)
        self.logs = home / "logs"
        self.inference_url = self._properties["inference_address"]
        self.management_url = self._properties["management_address"]
        self.metrics_url = self._properties["metrics_address"]
        self.url = self.inference_url
        self.predict_url = f"{self.url}/predictions/mnist"

    @property
    def ports(self) -> list[int]:
        """The TCP ports that the server listens on."""
        addresses = (self.inference_url, self.management_url, self.metrics_url)
        ports = [urlsplit(address).port or 80 for address in addresses]
        return ports + [int(self._properties[f"grpc_{api}_port"]) for api in ("inference", "management")]

    def session(self) -> requests.Session:
        """A client that may ask for predictions."""
        return requests.Session()

    def _launch(self) -> None:
        if (running := self.process()) is not None:
            raise ServerError(f"The service runs already, as process {running.pid}: end it with scripts/stop.")
        for port in self.ports:
            require_free(port, self._config)
        java_home = environment.java_home()
        if java_home is None:
            raise ServerError("No Java 17 or newer was found: scripts/serve brings one.")
        self.logs.mkdir(parents=True, exist_ok=True)
        for log in self.logs.glob("*.log"):
            log.unlink()
        command = [str(Path(sys.executable).with_name("torchserve")), "--start", "--ncs"]
        command += ["--model-store", str(self._model_store), "--ts-config", str(self._config)]
        if self._log_config is not None:
            command += ["--log-config", str(self._log_config)]
        # Short, since a worker's socket lies in it and its path may have 107 characters; and for this instance
        # alone, since TorchServe keeps its PID file and its sockets under fixed names.
        temporary = tempfile.mkdtemp(prefix="mnist-")
        with open(self.logs / "torchserve.log", "w") as output:
            launcher = subprocess.run(
                command,
                cwd=ROOT,
                env=self._variables(java_home, temporary),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that a Ctrl-C meant for us does not end it first
                check=False,
            )
        try:
            process = psutil.Process(int((Path(temporary) / ".model_server.pid").read_text()))
        except (OSError, psutil.NoSuchProcess):
            shutil.rmtree(temporary)
            said = (self.logs / "torchserve.log").read_text().strip()
            raise ServerError(f"TorchServe did not start, code {launcher.returncode}: {said}") from None
        self._daemon.remember(process, self.ports, temporary)

    def _variables(self, java_home: str, temporary: str) -> dict[str, str]:
        """The environment of the JVM and its workers: what they need of ours, and no secret that is in it.

        Nor anything of TorchServe's own that the user's shell has set, which would stand above config.properties.
        """
        needed = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        return needed | {
            "JAVA_HOME": java_home,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "TMPDIR": temporary,
            "TEMP": temporary,
            "LOG_LOCATION": str(self.logs),
            "METRICS_LOCATION": str(self.logs),
        }

    def wait_ready(self) -> None:
        """Wait until the service is healthy.

        Raises:
            ServerError: the JVM ended, a worker could not load the model, or START_TIMEOUT passed; with the
                worker's own error.

        """
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                health.check(self.management_url)
                return
            except health.UnhealthyError as error:
                reason = str(error)
            if (worker_error := self._worker_error()) is not None:
                raise ServerError(f"A worker could not load the model: {worker_error} All of it is in {self.logs}.")
            if self.process() is None:
                said = (self.logs / "torchserve.log").read_text().strip().splitlines()
                raise ServerError(f"TorchServe ended by itself: {said[-1] if said else 'without a word'}")
            if time.monotonic() > deadline:
                raise ServerError(f"Not ready after {START_TIMEOUT:.0f} s: {reason}. The logs are in {self.logs}.")
            time.sleep(_POLL)

    def stop(self) -> bool:
        """End the JVM and its workers once no request waits, and wait until they and their ports are gone.

        TorchServe closes every connection as soon as it is told to end, and cannot be kept from accepting more before:
        only a gateway in front loses nothing while clients go on. Here those are served who have sent all they will.

        Returns:
            Whether there was anything to end.

        """
        if self.process() is not None:
            self._drain()
        return self._daemon.end(STOP_TIMEOUT)

    def _drain(self) -> None:
        """Wait until nothing is queued and each worker has answered what it had, for DRAIN_TIMEOUT at most."""
        deadline = time.monotonic() + DRAIN_TIMEOUT
        while time.monotonic() < deadline:
            try:
                model = requests.get(f"{self.management_url}/models/mnist", timeout=health.TIMEOUT).json()[0]
            except (requests.RequestException, LookupError, ValueError):
                return  # nobody answers whom we could wait for
            if model["jobQueueStatus"]["pendingRequests"] == 0:
                time.sleep(BATCH_TIME)
                return
            time.sleep(_POLL)

    def _worker_error(self) -> str | None:
        """The first error in the workers' log, once one of them has died of it."""
        log = self.logs / "model_log.log"
        text = log.read_text() if log.exists() else ""
        error = re.search(r" - ([\w.]+(?:Error|Exception)\b.*)", text)
        return error[1] if error and "Backend worker process died." in text else None


def config_on_free_ports(home: Path, settings: Mapping[str, str], **changes: str) -> Path:
    """Write a config.properties into `home`: some settings, changed as the keywords say, on free ports."""
    inference, management, metrics, grpc_inference, grpc_management = free_ports(5)
    changes = {
        "inference_address": f"http://127.0.0.1:{inference}",
        "management_address": f"http://127.0.0.1:{management}",
        "metrics_address": f"http://127.0.0.1:{metrics}",
        "grpc_inference_port": str(grpc_inference),
        "grpc_management_port": str(grpc_management),
        **changes,
    }
    config = home / "config.properties"
    config.write_text("".join(f"{key}={value}\n" for key, value in {**settings, **changes}.items()))
    return config


def read_properties(path: Path) -> dict[str, str]:
    """The settings of a .properties file."""
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, value in pairs}


def require_free(port: int, config: Path) -> None:
    """Refuse to start where something listens already.

    Raises:
        ServerError: with the name of what listens, and of the file that says which port it is.

    """
    if is_taken(port):
        raise ServerError(f"Port {port} is taken by {listener(port)}: end that, or choose another port in {config}.")
