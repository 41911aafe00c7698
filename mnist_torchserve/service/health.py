"""Checks whether the service is healthy: a READY worker has just read the golden example of its model correctly.

The handler describes its model only after a golden prediction (handler/mnist_handler.py), and TorchServe sends the
request for that description to a READY worker. TorchServe's own `/ping` says Healthy while workers are crashing, while
the model loads, and with no model at all.

All health checks send this one request: scripts/serve and the tests here, the gateway for its `/health` and for its
choice of nodes, and the probes of containers.
"""

from typing import Any

import requests

TIMEOUT = 0.9  # s; two attempts then give a result within 2 s
ATTEMPTS = 2  # one may reach a worker that hangs, while the other worker serves


class UnhealthyError(Exception):
    """The service does not answer as it should. The message says what is wrong."""


def page(management_url: str, model: str) -> str:
    """Return the URL that answers with 200 if the model predicts."""
    return f"{management_url}/models/{model}?customized=true"


def check(management_url: str, model: str) -> dict[str, Any]:
    """Ask TorchServe whether a model predicts, as the gateway does.

    Returns:
        TorchServe's state of the model, and the handler's description of it as `customizedMetadata`.

    Raises:
        UnhealthyError: TorchServe does not answer, no worker is READY, or the golden prediction is wrong.
    """
    url = page(management_url, model)
    problem = ""
    for _ in range(ATTEMPTS):
        try:
            answer = requests.get(url, timeout=TIMEOUT)
        except requests.RequestException:
            problem = f"no answer from {url}"
            continue
        if answer.status_code == 200:
            state: dict[str, Any] = answer.json()[0]
            return state
        problem = f"{answer.status_code} {_reason(answer)} at {url}"
    raise UnhealthyError(problem)


def _reason(answer: requests.Response) -> str:
    """Return TorchServe's own sentence, or all that was said, on one line."""
    try:
        said = str(answer.json()["message"])
    except (ValueError, LookupError, TypeError):
        said = answer.text
    return " ".join(said.split()).rstrip(".")
