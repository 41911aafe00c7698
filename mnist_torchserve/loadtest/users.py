"""What all users share: the address of the service, how to send requests, and which answers are right."""

import json
import os
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from typing import Any, ClassVar

from locust import FastHttpUser, events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from mnist_torchserve.contract import TIMEOUT, Answer, Deployment, on_next_port, trust_alike
from . import recorder, tally
from .payloads import Payload, Payloads, plain

trust_alike()

DEFAULT_HOST = "http://127.0.0.1:8080"

PAYLOADS = Payloads()
ZEROS = plain(0.0)
ONES = plain(1.0)

_JSON = {"Content-Type": "application/json"}


class PredictingUser(FastHttpUser):
    """A user who sends predictions.

    FastHttpUser needs a fifth of HttpUser's CPU, which matters if the service runs on the same cores.
    """

    abstract = True
    host = os.environ.get("API_BASE_URL", DEFAULT_HOST)
    deployment: ClassVar[Deployment]
    connection_timeout = network_timeout = TIMEOUT
    insecure = False
    default_headers = {"x-api-key": os.environ["API_KEY"]} if os.environ.get("API_KEY") else None

    def on_stop(self) -> None:
        """Close the connections, since many users stop when a climb backs off."""
        self.client.client.close()

    def look(self, url: str, name: str, is_right: Callable[[Any], bool]) -> None:
        """Get a small JSON document and check it."""
        with self.client.get(url, name=name, catch_response=True) as response:
            if response.status_code == 0:
                return  # Locust reports the connection error
            try:
                right = response.status_code == 200 and is_right(json.loads(response.content))
            except (ValueError, LookupError, TypeError):
                right = False
            if not right:
                response.failure(f"wrong answer: {response.status_code} {response.text[:200]}")

    def predict(self, payload: Payload, name: str = "/predict", url: str | None = None) -> Answer | None:
        """Send one image; an answer without a digit and a confidence counts as a failure, and returns None."""
        url = url or self.deployment.predict
        body: Any = payload.body  # Locust's annotation does not include bytes
        with self.client.post(url, data=body, headers=_JSON, name=name, catch_response=True) as response:
            if response.status_code == 0:
                return None
            answer = Answer.parse(response.content) if response.status_code == 200 else None
            if answer is None:
                response.failure(f"wrong answer: {response.status_code} {response.text[:200]}")
                return None
        if payload.label is not None:
            tally.add("digits")
            tally.add("digits recognised", answer.prediction == payload.label)
        return answer


@events.init_command_line_parser.add_listener
def _add_options(parser: LocustArgumentParser) -> None:
    ours = parser.add_argument_group("The service under test")
    ours.add_argument(
        "--routes",
        choices=("auto", "torchserve", "gateway"),
        default="auto",
        env_var="API_ROUTES",
        help="torchserve: /ping, /models/mnist, /predictions/mnist; gateway: /, /health, /predict; "
        "auto (the default): torchserve if the host answers /ping. You can also set API_ROUTES.",
    )
    ours.add_argument(
        "--management-url",
        env_var="API_MANAGEMENT_URL",
        help="TorchServe's management API (default: on the host's next port). You can also set API_MANAGEMENT_URL.",
    )


@events.test_start.add_listener
def _find_deployment(environment: Environment, **_: Any) -> None:
    host = (environment.host or PredictingUser.host).rstrip("/")
    options = recorder.options(environment)
    routes = options.routes if options.routes != "auto" else _routes_of(host)
    if routes == "torchserve":
        PredictingUser.deployment = Deployment.torchserve(host, options.management_url or on_next_port(host))
    else:
        PredictingUser.deployment = Deployment.gateway(host)


def _routes_of(host: str) -> str:
    try:
        with urllib.request.urlopen(f"{host}/ping", timeout=TIMEOUT):  # noqa: S310 - http or https, as --host says
            return "torchserve"
    except (OSError, HTTPException):
        return "gateway"
