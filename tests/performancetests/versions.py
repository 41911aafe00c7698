"""The load that compares two versions of the model: each digit goes to both, in random order."""

import random

from locust import between, events, task
from locust.argument_parser import LocustArgumentParser
from mnist_torchserve.loadtest import tally
from mnist_torchserve.loadtest.recorder import options
from mnist_torchserve.loadtest.users import PAYLOADS, PredictingUser

BOTH = ("first", "second")


class ComparingUser(PredictingUser):
    """Half of this client's requests go to each version."""

    wait_time = between(0.1, 0.5)  # s

    @task
    def compare(self) -> None:
        """Ask both versions about one payload."""
        payload = PAYLOADS.next()
        versions = dict(zip(BOTH, options(self.environment).versions.split(","), strict=True))
        answers = {}
        for which in random.sample(BOTH, 2):
            answer = self.predict(payload, f"/predict ({which})", f"{self.deployment.predict}/{versions[which]}")
            if answer is None:
                return
            answers[which] = answer
        kind = "digits" if payload.label is not None else "random pixels"
        tally.add(f"{kind} compared")
        for which, answer in answers.items():
            tally.add(f"confidence in {kind}, {which}", answer.confidence)
            tally.add(f"recognised, {which}", answer.prediction == payload.label)
        if payload.label is not None:  # of random pixels nothing is the right prediction, so none need be equal
            tally.add("agreed", answers["first"].prediction == answers["second"].prediction)


@events.init_command_line_parser.add_listener
def _add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--versions", default="1.0,2.0", help="the two versions, loaded side by side")
