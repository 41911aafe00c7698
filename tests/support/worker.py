"""TorchServe's worker process around our handler, with its real message format but without Java."""

import json
import struct
from pathlib import Path
from typing import Any

import ts
from ts.context import Context
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.service import Service
from mnist_handler import MnistHandler

Answer = tuple[int, str, Any]  # status, content type, document
MANIFEST = {"model": {"modelName": "mnist", "modelVersion": "1.0", "configFile": "model-config.yaml"}}


class Worker:
    """A worker that has loaded our handler, and the weights in a folder."""

    def __init__(self, model_dir: Path) -> None:
        metrics = MetricsCacheYamlImpl(str(Path(ts.__file__).parent / "configs" / "metrics.yaml"))
        metrics.initialize_cache()
        metrics.model_name = "mnist"
        handler = MnistHandler()
        self._service = Service("mnist", str(model_dir), MANIFEST, handler.handle, None, 16, metrics_cache=metrics)
        self._service.set_cl_socket(None)
        context: Context = self._service.context
        handler.initialize(context)

    def predict(self, *requests: dict[str, Any]) -> list[Answer]:
        return _answers(self._service.predict(list(requests)))

    def code(self, *requests: dict[str, Any]) -> int:
        """The status of the whole message: 503 if the handler has failed."""
        return int(struct.unpack_from("!i", self._service.predict(list(requests)))[0])


def request(body: bytes | None, /, media_type: str = "application/json", **headers: str) -> dict[str, Any]:
    """A request as TorchServe's message reader passes it on; without a body it is a form without fields."""
    parameters = [] if body is None else [{"name": "body", "contentType": media_type, "value": bytearray(body)}]
    return _message(parameters, {"explain": "False", **headers})  # TorchServe adds `explain` to REST requests


def form(**fields: bytes) -> dict[str, Any]:
    """A form, which TorchServe parses."""
    parameters = [{"name": name, "contentType": "", "value": bytearray(value)} for name, value in fields.items()]
    return _message(parameters, {"explain": "False"})


def describe() -> dict[str, Any]:
    """A request of the management API to describe the model."""
    return _message([], {"describe": "True"})


def _message(parameters: list[dict[str, Any]], headers: dict[str, str]) -> dict[str, Any]:
    pairs = [{"name": name.encode(), "value": value.encode()} for name, value in headers.items()]
    return {"requestId": b"id", "headers": pairs, "parameters": parameters}


def _answers(message: bytes) -> list[Answer]:
    """Read a response message: code, message, then for each request id, type, status, phrase, headers, body."""
    position = 0

    def integer() -> int:
        nonlocal position
        position += 4
        return int(struct.unpack_from("!i", message, position - 4)[0])

    def text() -> bytes:
        nonlocal position
        length = integer()
        position += length
        return bytes(message[position - length : position])

    assert integer() == 200
    text()
    answers = []
    while struct.unpack_from("!i", message, position)[0] != -1:
        text()  # request id
        content_type = text().decode()
        status = integer()
        text()  # phrase
        for _ in range(integer()):
            text(), text()
        answers.append((status, content_type, json.loads(text())))
    return answers
