"""TorchServe's inference API by gRPC, made from the proto in TorchServe's own jar."""

import importlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import grpc
import ts
from mnist_torchserve.contract import TIMEOUT


class GrpcClient:
    """A client on a channel of its own, for a `with` around it.

    Args:
        address: the server's, `host:port`.
        folder: on the path of imports, for the stubs.
        key: for a gateway that asks for keys.
    """

    def __init__(self, address: str, folder: Path, key: str | None = None) -> None:
        if not (folder / "inference_pb2.py").exists():
            with zipfile.ZipFile(Path(ts.__file__).parent / "frontend" / "model-server.jar") as jar:
                for name in ("proto/inference.proto", "google/rpc/status.proto"):
                    jar.extract(name, folder)
            command = [sys.executable, "-m", "grpc_tools.protoc", "-Iproto", "-I."]
            command += ["--python_out=.", "--grpc_python_out=.", "proto/inference.proto", "google/rpc/status.proto"]
            subprocess.run(command, cwd=folder, check=True)
        self.address = address
        self.channel = grpc.insecure_channel(address)
        self._messages = importlib.import_module("inference_pb2")
        self.stub = importlib.import_module("inference_pb2_grpc").InferenceAPIsServiceStub(self.channel)
        self._metadata = [("x-api-key", key)] if key else []

    def predict(self, model: str = "mnist", /, **fields: bytes) -> Any:
        """The answer's document."""
        call = self.stub.Predictions(self._request(model, fields), timeout=TIMEOUT, metadata=self._metadata)
        return json.loads(call.prediction)

    def stream(self, model: str = "mnist", /, **fields: bytes) -> list[Any]:
        """The documents of an answer in pieces."""
        pieces = self.stub.StreamPredictions(self._request(model, fields), timeout=TIMEOUT, metadata=self._metadata)
        return [json.loads(piece.prediction) for piece in pieces]

    def _request(self, model: str, fields: dict[str, bytes]) -> Any:
        return self._messages.PredictionsRequest(model_name=model, input=fields)
