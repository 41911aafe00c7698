"""The contract: the routes of a service, and every kind of input with the status that it must get.

One contract, two faces: TorchServe's own ports, and the gateway's one.
"""

import gzip
import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import requests

TIMEOUT = 15  # s


@dataclass(frozen=True)
class Service:
    """The addresses of the three endpoints and the answers that the first two give.

    `health` is None where a deployment does not show it; `description` is, where nobody may ask for it.
    """

    root: str
    welcome: dict[str, str]
    health: str | None
    description: str | None
    predict: str
    key: str | None = None

    @classmethod
    def torchserve(cls, inference_url: str, management_url: str | None) -> "Service":
        """TorchServe's own routes."""
        inference_url = inference_url.rstrip("/")
        health = f"{management_url.rstrip('/')}/models/mnist" if management_url else None
        description = f"{health}?customized=true" if health else None
        return cls(
            f"{inference_url}/ping",
            {"status": "Healthy"},
            health,
            description,
            f"{inference_url}/predictions/mnist",
        )

    @classmethod
    def gateway(cls, url: str, key: str | None = None) -> "Service":
        """The gateway's routes, those of the service that came before."""
        url = url.rstrip("/")
        welcome = {"message": "Welcome to the UAAG2 MNIST model inference API!"}
        return cls(f"{url}/", welcome, f"{url}/health", None, f"{url}/predict", key)

    @property
    def is_gateway(self) -> bool:
        """Whether this is the gateway's face, not TorchServe's."""
        return "message" in self.welcome

    def calls_itself_healthy(self) -> bool:
        """What the health endpoint says, in the words of this face."""
        answer = requests.get(str(self.health), timeout=TIMEOUT)
        if self.description is None:
            return bool(answer.json() == {"status": "healthy", "model_loaded": True}) and answer.status_code == 200
        return any(worker["status"] == "READY" for worker in answer.json()[0]["workers"]) and answer.status_code == 200

    def post(
        self, body: bytes | str, media_type: str | None = "application/json", headers: dict[str, str] | None = None
    ) -> requests.Response:
        """Send a body as it is to the prediction endpoint."""
        sent = dict(headers or {})
        if media_type:
            sent["Content-Type"] = media_type
        if self.key:
            sent["x-api-key"] = self.key
        return requests.post(self.predict, data=body, headers=sent, timeout=TIMEOUT)

    def predict_json(self, payload: Any) -> requests.Response:
        """Send a payload as JSON to the prediction endpoint."""
        return self.post(json.dumps(payload))


@dataclass(frozen=True)
class Refusal:
    """An input that must be refused: with this status, and with these words in the message."""

    name: str
    body: bytes
    status: int
    words: str
    media_type: str | None = "application/json"

    def __str__(self) -> str:
        return self.name


def _data(*values: object, fill: float = 0.0) -> bytes:
    """784 values as a payload, those given first."""
    return json.dumps({"data": [*values, *[fill] * (784 - len(values))]}).encode()


_HEADER = b"IHDR" + struct.pack(">IIBBBBB", 10_000, 10_000, 8, 0, 0, 0, 0)
_HUGE = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + _HEADER + struct.pack(">I", zlib.crc32(_HEADER))
_HUGE += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))

REFUSALS = [
    Refusal("empty", b"", 400, "got nothing"),
    Refusal("not JSON", b"seven", 400, "Expected JSON"),
    Refusal("half sent", b'{"data": [0.0, 0.', 400, "Expected JSON"),
    Refusal("not UTF-8", b"\xff\xfe\x00", 400, "Expected JSON"),
    Refusal("instances without end", b'{"instances": ' + b"[" * 30_000, 400, "Expected JSON"),
    Refusal("compressed", gzip.compress(_data(), mtime=0), 400, "gzip, which is not read; send it uncompressed"),
    Refusal("nested without end", b'{"more": ' + b"[" * 30_000, 400, "Expected JSON"),
    Refusal(
        "one too few",
        json.dumps({"data": [0.0] * 783}).encode(),
        422,
        "Expected 784 numbers, got 783 - at `$.data`",
    ),
    Refusal(
        "one too many",
        json.dumps({"data": [0.0] * 785}).encode(),
        422,
        "Expected 784 numbers, got 785 - at `$.data`",
    ),
    Refusal("no numbers", b'{"data": []}', 422, "Expected 784 numbers, got 0 - at `$.data`"),
    Refusal("data missing", b'{"image": [0.0]}', 422, "missing required field `data`"),
    Refusal("data null", b'{"data": null}', 422, "Expected `array`, got `null` - at `$.data`"),
    Refusal("data a string", b'{"data": "0.0"}', 422, "Expected `array`, got `str` - at `$.data`"),
    Refusal("data a number", b'{"data": 7}', 422, "Expected `array`, got `int` - at `$.data`"),
    Refusal("data an object", b'{"data": {}}', 422, "Expected `array`, got `object` - at `$.data`"),
    Refusal("an array", b"[0.0]", 422, "Expected `object`, got `array`"),
    Refusal("null", b"null", 422, "Expected `object`, got `null`"),
    Refusal("a string within", _data(0, 0, "1"), 422, "Expected `float`, got `str` - at `$.data[2]`"),
    Refusal("a null within", _data(0, None), 422, "Expected `float`, got `null` - at `$.data[1]`"),
    Refusal("a bool within", _data(True), 422, "Expected `float`, got `bool` - at `$.data[0]`"),
    Refusal("a list within", _data([0.0]), 422, "Expected `float`, got `array` - at `$.data[0]`"),
    Refusal("28 rows of 28", json.dumps({"data": [[0.0] * 28] * 28}).encode(), 422, "got `array` - at `$.data[0]`"),
    Refusal("NaN", _data(0, float("nan")), 422, "Expected a number from 0 to 1, got nan - at `$.data[1]`"),
    Refusal("Infinity", _data(float("inf")), 422, "Expected a number from 0 to 1, got inf - at `$.data[0]`"),
    Refusal("-Infinity", _data(float("-inf")), 422, "Expected a number from 0 to 1, got -inf - at `$.data[0]`"),
    Refusal("below 0", _data(0, 0, -0.01), 422, "Expected a number from 0 to 1, got -0.01 - at `$.data[2]`"),
    Refusal("above 1", _data(0, 1.01), 422, "Expected a number from 0 to 1, got 1.01 - at `$.data[1]`"),
    Refusal("beyond float32", _data(1e39), 422, "Expected a number from 0 to 1, got 1e+39 - at `$.data[0]`"),
    Refusal("beyond float64", _data().replace(b"0.0", b"1e999", 1), 422, "Number out of range - at `$.data[0]`"),
    Refusal("0 to 255", _data(0, 128, 255), 422, "look like 0 to 255: divide each by 255"),
    Refusal("text", _data(), 415, "Expected the header `Content-Type: application/json`", "text/plain"),
    Refusal("XML", b"<data/>", 415, "got 'application/xml'", "application/xml"),
    Refusal("a form", b"data=0.0", 415, "Content-Type: application/json", "application/x-www-form-urlencoded"),
    Refusal("784 bytes and one", bytes(785), 422, "Expected 784 bytes", "application/octet-stream"),
    Refusal("no image", b"seven", 400, "Expected a whole PNG or JPEG file in the body", "image/png"),
    Refusal("an image cut short", _HUGE[:30], 400, "Expected a whole PNG or JPEG file in the body", "image/jpeg"),
    Refusal("an image of many megabytes", _HUGE, 422, "at most 524,288 pixels, got 10000 × 10000", "image/png"),
]
