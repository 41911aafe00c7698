"""An intruder who tries to make TorchServe run his code: archives that run it when loaded, and ways to load them."""

import json
import pickle
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import requests
from mnist_torchserve.service import TorchServe
from tests.support.stub import serving

TIMEOUT = 30  # s; TorchServe loads a model before it answers the request to register it

_HANDLER = """
open({marker!r}, "w").close()

class Intruder:
    def initialize(self, context): pass
    def handle(self, data, context): return ["{{}}"] * len(data)
"""
_WORKFLOW = """models:
  min-workers: 1
  max-workers: 1
  batch-size: 1
  max-batch-delay: 10
  intruder: {{url: "{model}"}}
dag:
  pre_processing: [intruder]
"""


class Intruder:
    """An intruder with a folder of his own, which he also serves as a web site."""

    def __init__(self, folder: Path) -> None:
        self._marker = folder / "marker"
        self.site = folder / "site"
        self.directory = self.site / "unpacked"
        self.directory.mkdir(parents=True)
        model = {"modelName": "intruder", "handler": "handler.py", "modelVersion": "1.0"}
        self._write("model.mar", "MAR-INF", {"model": model})
        with zipfile.ZipFile(self.site / "model.mar") as packed:
            packed.extractall(self.directory)
        workflow = {"workflowName": "intruder", "specFile": "spec.yaml", "handler": "handler.py"}
        self._write("workflow.war", "WAR-INF", {"workflow": workflow})
        self.url = ""

    def _write(self, name: str, folder: str, manifest: dict[str, Any]) -> None:
        with zipfile.ZipFile(self.site / name, "w") as packed:
            said = {"createdOn": "", "archiverVersion": "1", **manifest}
            packed.writestr(f"{folder}/MANIFEST.json", json.dumps(said))
            packed.writestr("handler.py", _HANDLER.format(marker=str(self._marker)))
            packed.writestr("spec.yaml", _WORKFLOW.format(model=self.directory))

    @property
    def is_in(self) -> bool:
        """Whether his code has run."""
        return self._marker.exists()

    def leave(self) -> None:
        """Forget that his code has run."""
        self._marker.unlink(missing_ok=True)

    def bomb(self) -> bytes:
        """A pickle that runs his code when it is loaded."""
        return pickle.dumps(_Bomb(self._marker))

    def model_by_url(self, server: TorchServe) -> None:
        _register(server, f"{self.url}/model.mar")

    def model_by_file_url(self, server: TorchServe) -> None:
        _register(server, f"file://{self.site}/model.mar")

    def model_by_directory(self, server: TorchServe) -> None:
        _register(server, str(self.directory))

    def model_by_grpc(self, server: TorchServe) -> None:
        register = "/org.pytorch.serve.grpc.management.ManagementAPIsService/RegisterModel"
        url = f"{self.url}/model.mar".encode()
        # Protocol Buffers by hand: 3 initial_workers, 8 synchronous, 9 url.
        message = b"\x18\x01\x40\x01\x4a" + bytes([len(url)]) + url
        with grpc.insecure_channel(str(server.addresses[4])) as channel:
            try:
                channel.unary_unary(register)(message, timeout=TIMEOUT, wait_for_ready=True)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.PERMISSION_DENIED

    def workflow_by_url(self, server: TorchServe) -> None:
        _post(server, "workflows", f"{self.url}/workflow.war")

    def workflow_by_file_url(self, server: TorchServe) -> None:
        _post(server, "workflows", f"file://{self.site}/workflow.war")


class _Bomb:
    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self._marker), "w")


def _register(server: TorchServe, url: str) -> None:
    _post(server, "models", url)


def _post(server: TorchServe, kind: str, url: str) -> None:
    query = {"url": url, "initial_workers": "1", "synchronous": "true"}
    requests.post(f"{server.management_url}/{kind}", params=query, timeout=TIMEOUT)


@contextmanager
def at_work(folder: Path) -> Iterator[Intruder]:
    """An intruder whose site is up."""
    intruder = Intruder(folder)
    site = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(intruder.site)))
    intruder.url = f"http://127.0.0.1:{site.server_port}"
    try:
        with serving(site):
            yield intruder
    finally:
        shutil.rmtree(folder)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass
