"""What "healthy" means: a worker is READY, and a real digit gets its right prediction.

TorchServe's `/ping` says Healthy while workers are crashing, while the model loads, and with no model at all. Every
script and test that waits for the service asks here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import digits
import requests

TIMEOUT = 2.0  # s, for each of the two questions


class UnhealthyError(Exception):
    """The service does not answer as it should; the message says what is wrong."""


def check(inference_url: str, management_url: str) -> None:
    """Ask TorchServe whether it predicts.

    Raises:
        UnhealthyError: it does not answer, no worker is READY, or the golden prediction is wrong.

    """
    with _answering(), requests.Session() as session:
        model = session.get(f"{management_url}/models/mnist", timeout=TIMEOUT)
        if model.status_code != 200:
            raise UnhealthyError(f"the model `mnist` is not loaded: {model.status_code} at {model.url}")
        states = [worker["status"] for worker in model.json()[0]["workers"]]
        if "READY" not in states:
            raise UnhealthyError(f"no worker is READY, they are {states}")
        _check_prediction(session, f"{inference_url}/predictions/mnist")


def check_gateway(session: requests.Session, url: str) -> None:
    """Ask a gateway, with the keys that `session` carries, whether the service behind it predicts.

    Raises:
        UnhealthyError: it does not answer, calls the service unhealthy, or the golden prediction is wrong.

    """
    with _answering():
        answer = session.get(f"{url}/health", timeout=TIMEOUT)
        if answer.status_code != 200:
            raise UnhealthyError(f"{answer.status_code} {answer.text.strip()} at {answer.url}")
        _check_prediction(session, f"{url}/predict")


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except requests.RequestException as error:
        raise UnhealthyError(f"no answer from {error.request.url if error.request else 'the service'}") from None


def _check_prediction(session: requests.Session, url: str) -> None:
    pixels, labels = digits.sample()
    answer = session.post(url, json={"data": (pixels[0] / 255).tolist()}, timeout=TIMEOUT)
    if answer.status_code != 200 or answer.json()["prediction"] != labels[0]:
        raise UnhealthyError(f"a digit {labels[0]} was answered with {answer.status_code} {answer.text.strip()}")
