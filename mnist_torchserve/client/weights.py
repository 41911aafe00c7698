"""Computes what the committed weights answer without a server: the oracle for a service's answers."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import requests
from classifier.runtime import Runtime
from classifier.types import Pixels, Probabilities
from mnist_torchserve.contract import MAX_CLASSES, Answer

CONNECTIONS = 8
TIMEOUT = 30  # s for one answer
_BATCH = 250  # images at a time


class ComparisonError(Exception):
    """The service did not answer, or broke the contract. The message says what it did."""


def probabilities(runtime: Runtime, pixels: Pixels) -> Probabilities:
    """Turn any number of images (n, 784) into probabilities (n, K), some at a time."""
    starts = range(0, len(pixels), _BATCH)
    return np.concatenate([runtime.probabilities(pixels[start : start + _BATCH]) for start in starts])


def answers(runtime: Runtime, pixels: Pixels) -> list[Answer]:
    """Return the right answers to images (n, 784)."""
    return [Answer(int(row.argmax()), float(row.max())) for row in probabilities(runtime, pixels)]


def differences(url: str, runtime: Runtime, pixels: Pixels, tolerance: float) -> Sequence[str]:
    """Return a sentence for each image (n, 784) that the service at `url` answers differently from the weights.

    Raises:
        ComparisonError: an answer is not a prediction.
    """
    expected = answers(runtime, pixels)
    with requests.Session() as session, ThreadPoolExecutor(CONNECTIONS) as pool:
        session.mount("http", requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
        found = [*pool.map(lambda image: _ask(session, url, image), pixels)]
    return [
        f"Digit {index}: expected {right.prediction} at {right.confidence:.6f}, "
        f"got {answer.prediction} at {answer.confidence:.6f}."
        for index, (right, answer) in enumerate(zip(expected, found, strict=True))
        if not right.agrees(answer, tolerance)
    ]


def _ask(session: requests.Session, url: str, image: Pixels) -> Answer:
    try:
        response = session.post(url, json={"data": image.tolist()}, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise ComparisonError(f"{url} does not answer ({error}). Start the service with scripts/serve.") from error
    answer = Answer.parse(response.content, MAX_CLASSES) if response.ok else None
    if answer is None:
        raise ComparisonError(f"{url} answered {response.status_code}: {response.text.strip()[:200]}")
    return answer
