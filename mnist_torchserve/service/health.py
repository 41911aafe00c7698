"""What "healthy" means: a READY worker has just read the golden example of its model rightly.

The handler describes its model only after a golden prediction (handler/mnist_handler.py), and TorchServe passes the
question for that description to a READY worker. TorchServe's own `/ping` says Healthy while workers are crashing, while
the model loads, and with no model at all.

Everybody who wants to know asks this one question: scripts/serve and the tests here, the gateway for its `/health` and
for its choice of nodes, the probes of containers.
"""

import requests

TIMEOUT = 0.9  # s; so that two attempts give an answer within 2 s
ATTEMPTS = 2  # a worker that is stuck may take one of them with it, while the other serves


class UnhealthyError(Exception):
    """The service does not answer as it should; the message says what is wrong."""


def check(management_url: str, model: str) -> None:
    """Ask TorchServe whether a model predicts, as the gateway does.

    Raises:
        UnhealthyError: it does not answer, no worker is READY, or the golden prediction is wrong.
    """
    url = f"{management_url}/models/{model}?customized=true"
    problem = ""
    for _ in range(ATTEMPTS):
        try:
            answer = requests.get(url, timeout=TIMEOUT)
        except requests.RequestException:
            problem = f"no answer from {url}"
            continue
        if answer.status_code == 200:
            return
        problem = f"{answer.status_code} {answer.text.strip()} at {url}"
    raise UnhealthyError(problem)
