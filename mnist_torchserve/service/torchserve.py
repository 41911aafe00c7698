"""Starts TorchServe from a config.properties, waits until it is ready, and stops it without a trace."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, ClassVar, Self

import psutil
import requests
from mnist_torchserve.daemon import Daemon, ServiceError
from mnist_torchserve.ports import Address
from mnist_torchserve.project import MODEL_STORE, ROOT
from mnist_torchserve.waiting import wait_until
from . import health, java, properties
from .properties import CONFIG

START_TIMEOUT = 90.0  # s until the first prediction, on a slow machine
STOP_TIMEOUT = 20.0  # s that the JVM gets to end before it is killed
DRAIN_TIMEOUT = 5.0  # s until waiting requests are answered, the same as the gateway's deadline
BATCH_TIME = 0.1  # s, much more than a worker needs for a batch; nothing reports when a batch has ended
# The beginnings of variables that are passed on: user, time, and settings of the loader, the heap and processors.
PASSED_ON = ("HOME", "USER", "LOGNAME", "TZ", "LD_", "CUDA_", "NVIDIA_", "OMP_", "MALLOC_")


class TorchServe(Daemon):
    """One TorchServe instance.

    Args:
        config: its config.properties.
        home: folder for its state and its logs.
        model_store: folder of the archives that it may load.
        log_config: settings of its logs; None for TorchServe's own.
        output: a file descriptor for what it logs to the console, instead of a file.
        models: the models to serve; the gateway's `/predict` uses the first. If empty, those that it already serves, or
            else those in its config.properties.
    """

    name: ClassVar[str] = "TorchServe"

    def __init__(
        self,
        config: Path = CONFIG,
        home: Path = ROOT / ".run",
        model_store: Path = MODEL_STORE,
        log_config: Path | None = ROOT / "log4j2.xml",
        output: int | None = None,
        models: Sequence[str] = (),
    ) -> None:
        super().__init__(home / "server.json", config, home / "logs" / "torchserve.log", output)
        self._model_store = model_store
        self._log_config = log_config
        self._models = models

    @classmethod
    def on_free_ports(cls, home: Path, model_store: Path = MODEL_STORE, **changes: str) -> Self:
        """Return one with this project's settings, changed by the keywords, and its files in `home`."""
        home.mkdir(parents=True, exist_ok=True)
        ours = properties.read_properties()
        usual = {key: value for key, value in ours.items() if not key.endswith(("_address", "_port"))}
        if "metrics_config" in usual:  # TorchServe looks for it in the folder of the settings
            shutil.copy(ROOT / usual["metrics_config"], home)
        grpc = {f"grpc_{api}_address": "127.0.0.1" for api in ("inference", "management")}
        return cls(properties.write_on_free_ports(home, {**usual, **grpc, **changes}), home, model_store)

    @classmethod
    def found(cls) -> Self | None:
        """Return the one that runs at the addresses in config.properties, whoever started it; None if none does.

        What was started by hand says itself which models it serves. Those of config.properties come first.

        Raises:
            ServiceError: the settings cannot be read.
        """
        server = cls()
        if server.process() is not None:
            return server
        try:
            answer = requests.get(f"{server.management_url}/models", timeout=health.TIMEOUT)
            loaded = [str(model["modelName"]) for model in answer.json()["models"]]
        except (requests.RequestException, ValueError, LookupError, TypeError):
            return None
        usual = [model for model in server.models if model in loaded]
        return cls(models=list(dict.fromkeys([*usual, *loaded])))

    @cached_property
    def _listeners(self) -> dict[str, Address]:
        return properties.addresses(properties.read_properties(self._config), self._config)

    @property
    def addresses(self) -> Sequence[Address]:
        """The addresses of inference, management and metrics, and of inference and management by gRPC.

        Raises:
            ServiceError: its settings cannot be read.
        """
        return list(self._listeners.values())

    @property
    def inference_url(self) -> str:
        """The inference API's URL on this machine. ServiceError, as for the next two, if the settings are unusable."""
        return self._url("inference")

    @property
    def management_url(self) -> str:
        """The management API's URL on this machine."""
        return self._url("management")

    @property
    def metrics_url(self) -> str:
        """The metrics' URL on this machine."""
        return self._url("metrics")

    @property
    def health_url(self) -> str:
        """The page that answers with 200 if the first model predicts."""
        return health.page(self.management_url, self.models[0])

    @property
    def grpc_address(self) -> Address:
        """The inference API's gRPC address on this machine."""
        return Address.parse(self._url("grpc_inference"))

    @property
    def url(self) -> str:
        """The URL for clients on this machine."""
        return self.inference_url

    @property
    def predict_url(self) -> str:
        """The prediction's route."""
        return f"{self.url}/predictions/{self.models[0]}"

    @property
    def models(self) -> Sequence[str]:
        """The models that it serves, or will serve once it runs. `/predict` uses the first."""
        if self._models:
            return self._models
        running = self.process()
        command = running.cmdline() if running is not None else []
        if "-m" in command:
            named = command[command.index("-m") + 1 :]
            return [each.partition("=")[0] for each in takewhile(lambda word: not word.startswith("-"), named)]
        return properties.models(properties.read_properties(self._config), self._model_store)

    def standby(self) -> "TorchServe":
        """Return the one that serves while this one restarts, and keeps serving if this one does not come back."""
        home = self.home / "standby"
        return TorchServe(home / "config.properties", home, self._model_store, self._log_config, models=self._models)

    def has_ended(self) -> bool:
        """Whether neither it nor its standby runs or is being restarted."""
        return super().has_ended() and self.standby().process() is None

    def stop(self) -> bool:
        """Stop it and its standby, and wait until their ports are free.

        Returns:
            Whether there was anything to stop.

        Raises:
            ServiceError: it belongs to another user.
        """
        ended = super().stop()
        return (self._state.exists() and self.standby().stop()) or ended

    def session(self) -> requests.Session:
        """Return a client that may send requests for predictions."""
        return requests.Session()

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes.

        Raises:
            ServiceError: TorchServe does not run.
        """
        found = []
        for process in self.family():
            with suppress(psutil.NoSuchProcess):  # it has ended in the meantime
                if "model_service_worker" in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def model_state(self, model: str) -> dict[str, Any]:
        """Return a model's state from the management API, or raise requests' errors, LookupError or ValueError."""
        answer = requests.get(f"{self.management_url}/models/{model}", timeout=health.TIMEOUT)
        state: dict[str, Any] = answer.json()[0]
        return state

    def java(self) -> str | None:
        """Describe the Java that it runs on. None if it does not run, or belongs to another user."""
        with suppress(psutil.Error):
            if (process := self.process()) is not None:
                return java.version(Path(process.exe()).parents[1])
        return None

    def wait_ready(self) -> None:
        """Wait until the service is healthy.

        Raises:
            ServiceError: the JVM ended, a worker could not load the model, or START_TIMEOUT passed. The message has
                the worker's own error.
        """
        reason = ""

        def is_healthy() -> bool:
            nonlocal reason
            self._require_process()
            try:
                if self.listens(self._listeners["management"].from_here()):
                    for model in self.models:
                        health.check(self.management_url, model)
                    return True
                reason = f"nothing listens at {self.management_url}"
            except health.UnhealthyError as error:
                reason = str(error)
            if (worker_error := self._worker_error()) is not None:
                raise ServiceError(f"A worker could not load the model {worker_error} All of it is in {self.logs}.")
            return False

        try:
            wait_until(is_healthy, START_TIMEOUT)
        except TimeoutError:
            raise ServiceError(
                f"Not ready after {START_TIMEOUT:.0f} s: {reason}. The logs are in {self.logs}."
            ) from None

    def withdraw(self) -> None:
        """Make its workers report themselves as unhealthy, so that gateways stop sending. It keeps answering."""
        for folder in (self._state.temporary() / "models").iterdir():
            (folder / "withdrawn").touch()

    def _end(self) -> bool:
        """End the JVM and its workers once no request waits.

        At SIGTERM TorchServe closes every connection at once, and nothing makes it refuse new ones first. Only a
        gateway in front loses nothing while clients keep sending. Here, clients that have finished sending get their
        answers.
        """
        if self.process() is not None:
            try:
                wait_until(lambda: not any(map(self._pending, self.models)), DRAIN_TIMEOUT)
                time.sleep(BATCH_TIME)
            except (TimeoutError, ServiceError, requests.RequestException, LookupError, ValueError):
                pass  # no client is waiting
            except KeyboardInterrupt:
                self._state.end(STOP_TIMEOUT)
                raise
        return self._state.end(STOP_TIMEOUT)

    def _pending(self, model: str) -> int:
        pending: int = self.model_state(model)["jobQueueStatus"]["pendingRequests"]
        return pending

    def _launch(self, temporary: str) -> psutil.Process:
        try:
            java_home = java.home()
        except java.JavaError as error:
            raise ServiceError(str(error)) from None
        command = [str(Path(sys.executable).with_name("torchserve")), "--start", "--ncs"]
        command += ["--model-store", str(self._model_store), "--ts-config", str(self._config)]
        if self._models:
            command += ["--models", *(f"{model}={model}.mar" for model in self._models)]
        if self._log_config is not None:
            command += ["--log-config", str(self._log_config)]
        with self._log_of(self._log.name) as output:
            launcher = subprocess.run(
                command,
                cwd=self._config.parent,  # TorchServe looks for files and writes its tokens here
                env=self._variables(java_home, temporary),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that our Ctrl-C does not end it first
                check=False,
            )
        try:
            return psutil.Process(int((Path(temporary) / ".model_server.pid").read_text()))
        except (OSError, psutil.NoSuchProcess):
            raise ServiceError(f"TorchServe did not start, code {launcher.returncode}: {self._first_error()}") from None

    def _url(self, api: str) -> str:
        try:
            return f"http://{self._listeners[api].from_here()}"
        except ValueError as error:
            raise ServiceError(f"{error}; in {self._config}.") from None

    def _variables(self, java_home: str, temporary: str) -> dict[str, str]:
        """Return the environment of the JVM and its workers: what they need from ours, and no secrets.

        TorchServe's own variables are left out too, since they would take precedence over config.properties.
        """
        needed = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        return needed | {
            "JAVA_HOME": java_home,
            "LC_ALL": "C.UTF-8",  # so that Java can open paths whose letters the user's locale lacks
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "TMPDIR": temporary,
            "TEMP": temporary,
            "LOG_LOCATION": str(self.logs),
            "METRICS_LOCATION": str(self.logs),
        }

    def _worker_error(self) -> str | None:
        """Return the model and the first error of a worker that has died of it, as the workers' log has them."""
        log = self.logs / "model_log.log"
        text = log.read_text() if log.exists() else ""
        died = re.search(r" (W-\S+) - Backend worker process died\.", text)
        if died is None:
            return None
        worker = re.escape(died[1])
        model = re.search(rf" {worker} - model_name: (\S+),", text)
        error = re.search(rf" {worker} - ([\w.]+(?:Error|Exception)\b.*)", text)
        return f"{model[1]}: {error[1]}" if model and error else None
