"""The load: users of the service, and what they send.

locust -f tests/performancetests/locustfile.py                      # web UI on http://localhost:8089
locust -f tests/performancetests/locustfile.py --headless --users 100 --spawn-rate 10 --run-time 5m
"""

import os
import random
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from locust import HttpUser, between, task

_DIGITS = Path(__file__).resolve().parents[1] / "data" / "digits.npz"
with np.load(_DIGITS, allow_pickle=False) as arrays:
    DIGITS = [{"data": (row / 255).tolist()} for row in arrays["pixels"]]
ZEROS = {"data": [0.0] * 784}
ONES = {"data": [1.0] * 784}


class PredictingUser(HttpUser):
    """What both users share: where the service is, and what makes an answer right."""

    abstract = True
    host = os.environ.get("API_BASE_URL", "http://127.0.0.1:8080")

    def predict(self, payload: dict[str, list[float]], name: str = "POST /predict") -> None:
        """Send one image; a prediction that is no digit or has no confidence counts as a failure."""
        with self.client.post("/predictions/mnist", json=payload, name=name, catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"expected 200, got {response.status_code}: {response.text[:200]}")
                return
            answer = response.json()
            if answer.get("prediction") not in range(10) or not 0 <= answer.get("confidence", -1) <= 1:
                response.failure(f"expected a digit and its confidence, got {answer}")

    def predict_digit(self) -> None:
        """Send a real digit, another one each time."""
        self.predict(random.choice(DIGITS))


class MNISTAPIUser(PredictingUser):
    """An ordinary client: mostly predictions, now and then a look at the service's health."""

    wait_time = between(1, 3)  # s

    def on_start(self) -> None:
        """Find the management API, which has a port of its own."""
        split = urlsplit(str(self.host))
        beside = urlunsplit(split._replace(netloc=f"{split.hostname}:{(split.port or 80) + 1}"))
        self.management_url = os.environ.get("API_MANAGEMENT_URL", beside)

    @task(1)
    def root(self) -> None:
        """Quick look whether the service is there."""
        with self.client.get("/ping", name="GET /", catch_response=True) as response:
            if response.json().get("status") != "Healthy":
                response.failure(f"expected Healthy, got {response.text[:200]}")

    @task(2)
    def health(self) -> None:
        """What a monitor asks."""
        url = f"{self.management_url}/models/mnist"
        with self.client.get(url, name="GET /health", catch_response=True) as response:
            if response.status_code != 200 or not any(w["status"] == "READY" for w in response.json()[0]["workers"]):
                response.failure(f"expected a READY worker, got {response.status_code}: {response.text[:200]}")

    @task(10)
    def digit(self) -> None:
        """The main thing."""
        self.predict_digit()

    @task(1)
    def zeros(self) -> None:
        """A blank page."""
        self.predict(ZEROS, "POST /predict (zeros)")

    @task(1)
    def ones(self) -> None:
        """A page full of ink."""
        self.predict(ONES, "POST /predict (ones)")


class StressTestUser(PredictingUser):
    """A client in a hurry."""

    wait_time = between(0.1, 0.5)  # s

    @task
    def digit(self) -> None:
        """Prediction after prediction."""
        self.predict_digit()
