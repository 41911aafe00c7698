"""The load: an ordinary user and a hasty one.

locust -f tests/performancetests/locustfile.py                      # web UI on http://localhost:8089
locust -f tests/performancetests/locustfile.py --headless --users 100 --spawn-rate 10 --run-time 5m
"""

from locust import between, task
from mnist_torchserve.loadtest.users import ONES, PAYLOADS, ZEROS, PredictingUser


class MNISTAPIUser(PredictingUser):
    """An ordinary client: mostly predictions, now and then a look at the service's health."""

    wait_time = between(1, 3)  # s

    @task(1)
    def root(self) -> None:
        """Quick look whether the service is there."""
        self.look(self.deployment.root, "/", self.deployment.is_welcome)

    @task(2)
    def health(self) -> None:
        """What a monitor asks."""
        self.look(str(self.deployment.health), "/health", self.deployment.is_healthy)

    @task(10)
    def digit(self) -> None:
        """The main thing."""
        self.predict(PAYLOADS.next())

    @task(1)
    def zeros(self) -> None:
        """A blank page."""
        self.predict(ZEROS, "/predict (zeros)")

    @task(1)
    def ones(self) -> None:
        """A page full of ink."""
        self.predict(ONES, "/predict (ones)")


class StressTestUser(PredictingUser):
    """A client in a hurry."""

    wait_time = between(0.1, 0.5)  # s

    @task
    def digit(self) -> None:
        """Prediction after prediction."""
        self.predict(PAYLOADS.next())
