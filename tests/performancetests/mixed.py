"""The load with every kind of bad input in it: the right refusal is a success."""

import itertools
import random
import sys
from pathlib import Path
from typing import Any

from locust import between, task
from users import PAYLOADS, PredictingUser

sys.path.append(str(Path(__file__).resolve().parents[1]))
from contract import REFUSALS, Refusal

TOO_LARGE = Refusal("over the limit", b" " * 65_537, 413, "")
ALL = [*REFUSALS, TOO_LARGE]


class MixedUser(PredictingUser):
    """A client of which one request in four is wrong, every kind in turn."""

    wait_time = between(0.1, 0.5)  # s

    def on_start(self) -> None:
        """Begin anywhere, so that the users do not send the same at the same time."""
        start = random.randrange(len(ALL))
        self._refusals = itertools.cycle([*ALL[start:], *ALL[:start]])

    @task(3)
    def digit(self) -> None:
        """A good request."""
        self.predict(PAYLOADS.next())

    @task(1)
    def refusal(self) -> None:
        """A bad one."""
        refusal = next(self._refusals)
        headers = {"Content-Type": refusal.media_type} if refusal.media_type else {}
        body: Any = refusal.body  # Locust's annotation knows no bytes
        with self.client.post(
            self.service.predict,
            data=body,
            headers=headers,
            name=f"/predict ({refusal.status})",
            catch_response=True,
        ) as response:
            if response.status_code == refusal.status and refusal.words in (response.text or ""):
                response.success()
            elif response.status_code != 0:
                said = f"{response.status_code} {(response.text or '')[:200]}"
                response.failure(f"expected {refusal.status} for {refusal.name!r}, got {said}")
