"""Sends one image to a service: the one that runs on this machine, or any other."""

import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
import requests
from classifier.types import PIXELS, Pixels, Refusal
from mnist_torchserve.contract import MAX_CLASSES, Answer
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.service import TorchServe

TIMEOUT = 10  # s


def no_answer(url: str, error: requests.RequestException, hint: str) -> str:
    """Say why there was no answer, and what to do. The advice is `hint` if nothing answers at all."""
    if isinstance(error, requests.exceptions.SSLError):
        return (
            f"The certificate of {url} is not trusted here: name the file of its authority in SSL_CERT_FILE. "
            f"The reason: {str(error)[-200:]}"
        )
    return f"No service answers at {url} ({type(error).__name__}): {hint}."


class Client:
    """A client of one service, with the key in the environment variable API_KEY, if any.

    Args:
        url: the service's route, or its address, to which `/predict` is added; None for the gateway or TorchServe that
            runs here.

    Raises:
        ServiceError: there is no URL, and nothing runs here.
    """

    def __init__(self, url: str | None = None) -> None:
        if url is not None:
            self._session = requests.Session()
            self.route = url if urlsplit(url).path not in ("", "/") else url.rstrip("/") + "/predict"
        else:
            server = TorchServe.found()
            gateway = Gateway(server or TorchServe())
            here = gateway if gateway.process() else server
            if here is None:
                raise ServiceError("No service runs here: start it with scripts/serve, or name another with --url.")
            self._session, self.route = here.session(), here.predict_url
        if key := os.environ.get("API_KEY"):
            self._session.headers["x-api-key"] = key

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    @property
    def pictures(self) -> Literal["mnist", "plain"]:
        """How pictures are read for its model."""
        return "plain" if self._told.get("pictures") == "plain" else "mnist"

    @property
    def model(self) -> str | None:
        """The name of its model, if it tells."""
        name = self._told.get("name")
        return name if isinstance(name, str) else None

    @cached_property
    def _told(self) -> Mapping[str, Any]:
        """What a first answer tells of its model; nothing where a service tells nothing."""
        try:
            told = self._post(np.zeros(PIXELS, np.float32)).json()["model"]
        except (requests.RequestException, ValueError, LookupError, TypeError):
            return {}
        return told if isinstance(told, dict) else {}

    def ask(self, image: Pixels | Refusal) -> dict[str, Any]:
        """Return `{"prediction", "confidence", "label", "probabilities", "labels"}`, or `{"code", "message"}`.

        An image that could not be read is not sent. Some services return no probabilities, and some classes no names.

        Raises:
            requests.RequestException: there is no answer.
        """
        if isinstance(image, Refusal):
            return {"code": int(image.status), "message": str(image)}
        response = self._post(image)
        if response.ok and (answer := Answer.parse(response.content, MAX_CLASSES)):
            told = response.json()
            return answer._asdict() | {
                name: told[name] for name in ("label", "probabilities", "labels") if name in told
            }
        try:
            message = str(response.json()["message"])
        except (ValueError, LookupError, TypeError):
            message = response.text.strip()[:200] or "no reason given"
        return {"code": response.status_code, "message": message}

    def _post(self, image: Pixels) -> requests.Response:
        # TorchServe itself reads a query only at this route.
        route = re.sub(r"/predictions/([^/]+)$", r"/models/\1/invoke", self.route)
        return self._session.post(route, json={"data": image.tolist()}, params={"details": "true"}, timeout=TIMEOUT)
