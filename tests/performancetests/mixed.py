"""The load with every kind of bad input in it: the right refusal is a success."""

import itertools
import random
from typing import Any

from locust import between, task
from mnist_torchserve.contract import BAD_INPUTS, MAX_BODY, BadInput
from mnist_torchserve.loadtest.users import PAYLOADS, PredictingUser

TOO_LARGE = BadInput("over the limit", b" " * (MAX_BODY + 1), 413, "")
ALL = [*BAD_INPUTS, TOO_LARGE]


class MixedUser(PredictingUser):
    """A client of which one request in four is wrong, every kind in turn."""

    wait_time = between(0.1, 0.5)  # s

    def on_start(self) -> None:
        """Begin anywhere, so that the users do not send the same at the same time."""
        start = random.randrange(len(ALL))
        self._bad_inputs = itertools.cycle([*ALL[start:], *ALL[:start]])

    @task(3)
    def digit(self) -> None:
        """A good request."""
        self.predict(PAYLOADS.next())

    @task(1)
    def bad_input(self) -> None:
        """A bad one."""
        bad = next(self._bad_inputs)
        headers = {"Content-Type": bad.media_type} if bad.media_type else {}
        body: Any = bad.body  # Locust's annotation knows no bytes
        with self.client.post(
            self.deployment.predict, data=body, headers=headers, name=f"/predict ({bad.status})", catch_response=True
        ) as response:
            if response.status_code == bad.status and bad.words in (response.text or ""):
                response.success()
            elif response.status_code != 0:
                said = f"{response.status_code} {(response.text or '')[:200]}"
                response.failure(f"expected {bad.status} for {bad.name!r}, got {said}")
