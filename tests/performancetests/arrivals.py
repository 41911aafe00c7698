"""The load of an open loop: requests arrive at a constant rate, whether or not earlier ones have been answered.

Users who wait for their answers slow down with the service, and so hide how long others would have waited. Each user
here makes `--arrival-rate` requests a second.
"""

import itertools
import time

import gevent
from gevent.pool import Pool
from locust import events, task
from locust.argument_parser import LocustArgumentParser
from mnist_torchserve.loadtest import tally
from mnist_torchserve.loadtest.recorder import options
from mnist_torchserve.loadtest.users import PAYLOADS, PredictingUser

IN_FLIGHT = 1000  # requests of one user; a service that far behind gets no more, and they count as unanswered


class ArrivalUser(PredictingUser):
    """The crowd, as one user."""

    concurrency = IN_FLIGHT

    @task
    def arrive(self) -> None:
        """Send at the moments of a fixed schedule until the run ends."""
        rate = options(self.environment).arrival_rate
        in_flight = Pool(IN_FLIGHT)
        began = time.monotonic()
        for number in itertools.count():
            gevent.sleep(max(began + number / rate - time.monotonic(), 0))
            tally.add("arrivals intended")
            if not in_flight.full():
                in_flight.spawn(self._send)

    def _send(self) -> None:
        if self.predict(PAYLOADS.next()) is not None:
            tally.add("arrivals answered")


@events.init_command_line_parser.add_listener
def _add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--arrival-rate", type=float, default=50.0, help="requests a second of each user")
