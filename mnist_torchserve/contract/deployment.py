"""A deployment of the service, wherever it is: its addresses, and what its endpoints must say.

One contract, two faces: TorchServe's own ports, and the gateway's one.
"""

import json
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import requests
from .model import model

TIMEOUT = 15.0  # s; TorchServe leaves some requests without any answer


def on_next_port(url: str) -> str:
    """The address with the next port: where TorchServe's management usually is."""
    split = urlsplit(url)
    user, at, _ = split.netloc.rpartition("@")
    name = f"[{split.hostname}]" if ":" in str(split.hostname) else split.hostname
    port = split.port or (443 if split.scheme == "https" else 80)
    return urlunsplit(split._replace(netloc=f"{user}{at}{name}:{port + 1}"))


@dataclass(frozen=True)
class Deployment:
    """The addresses of the three endpoints, and the answer that the first gives.

    `health` is None where a deployment does not show it; `description` is, where nobody may ask for it.
    """

    root: str
    welcome: dict[str, str]
    health: str | None
    description: str | None
    predict: str
    key: str | None = None

    @classmethod
    def torchserve(cls, inference_url: str, management_url: str | None, name: str | None = None) -> Self:
        """TorchServe's own routes, to the model of this name, or else to the one that API_MODEL names."""
        inference_url, name = inference_url.rstrip("/"), name or model()
        health = f"{management_url.rstrip('/')}/models/{name}" if management_url else None
        description = f"{health}?customized=true" if health else None
        predict = f"{inference_url}/predictions/{name}"
        return cls(f"{inference_url}/ping", {"status": "Healthy"}, health, description, predict)

    @classmethod
    def gateway(cls, url: str, key: str | None = None) -> Self:
        """The gateway's routes, those of the service that came before."""
        url = url.rstrip("/")
        welcome = {"message": "Welcome to the UAAG2 MNIST model inference API!"}
        return cls(f"{url}/", welcome, f"{url}/health", None, f"{url}/predict", key)

    @property
    def is_gateway(self) -> bool:
        """Whether this is the gateway's face, not TorchServe's."""
        return "message" in self.welcome

    def is_welcome(self, answer: Any) -> bool:
        """Whether the root says what this face says, in whatever words of welcome."""
        if self.is_gateway:
            return isinstance(answer["message"], str)
        return bool(answer == self.welcome)

    def is_healthy(self, answer: Any) -> bool:
        """Whether the health endpoint says, in the words of this face, that a worker is ready."""
        if self.is_gateway:
            return bool(answer == {"status": "healthy", "model_loaded": True})
        return any(worker["status"] == "READY" for worker in answer[0]["workers"])

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
