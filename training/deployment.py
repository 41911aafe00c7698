"""A running service, asked from outside whether it answers as the weights here do."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import requests
from numpy.typing import NDArray
from runtime import Runtime

CONNECTIONS = 8
TIMEOUT = 30  # seconds for one answer


class DeploymentError(RuntimeError):
    """The service did not answer, or not as the contract says."""


def differences(url: str, runtime: Runtime, pixels: NDArray[np.float32], tolerance: float) -> list[str]:
    """A sentence for every image of `pixels` (N, 784) that `url` answers unlike `runtime`.

    Predictions must be equal and confidences within `tolerance`. Raises `DeploymentError` if an answer is no
    prediction.
    """
    expected = np.concatenate(
        [runtime.probabilities(batch) for batch in np.array_split(pixels, -(-len(pixels) // 250))]
    )
    with requests.Session() as session, ThreadPoolExecutor(CONNECTIONS) as pool:
        session.mount("http", requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
        answers = list(pool.map(lambda image: _ask(session, url, image), pixels))
    return [
        f"Digit {index}: expected {row.argmax()} at {row.max():.6f}, got {prediction} at {confidence:.6f}."
        for index, (row, (prediction, confidence)) in enumerate(zip(expected, answers, strict=True))
        if prediction != row.argmax() or abs(confidence - row.max()) > tolerance
    ]


def _ask(session: requests.Session, url: str, image: NDArray[np.float32]) -> tuple[int, float]:
    try:
        response = session.post(url, json={"data": image.tolist()}, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise DeploymentError(f"{url} does not answer ({error}). Start the service with scripts/serve.") from error
    if response.status_code != requests.codes.ok:
        raise DeploymentError(f"{url} answered {response.status_code}: {response.text.strip()[:200]}")
    answer: dict[str, Any] = response.json()
    return answer["prediction"], answer["confidence"]
