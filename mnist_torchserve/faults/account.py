"""The account of requests under a fault: each request once, how it ended, and how long it took."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

WINDOW = 0.5  # s; a service has recovered once SETTLED of these in a row are as before
SETTLED = 3
NOISE = 0.1  # s; on a shared machine, a smaller difference means nothing


class Ending(StrEnum):
    """How a good request can end."""

    ANSWERED = "answered"  # correctly
    REFUSED = "refused"  # 429 or 503: the client should try again later
    FAILED = "failed"  # another error, within the deadline
    WRONG = "wrong"  # an answer that does not match the digit
    HANGING = "hanging"  # no answer until long after the deadline


class Attempt(NamedTuple):
    """One request of the account."""

    began: float  # s, monotonic clock
    wait: float  # s until it ended
    ending: Ending
    reason: str = ""  # why it was not answered
    retry_after: bool = False  # whether a refusal had the header Retry-After

    @property
    def ended(self) -> float:
        """When it ended."""
        return self.began + self.wait


@dataclass(frozen=True)
class Account:
    """All requests of some clients, ordered by when they began."""

    requests: Sequence[Attempt]

    def count(self, ending: Ending) -> int:
        """The number of requests that ended like this."""
        return sum(request.ending is ending for request in self.requests)

    def reasons(self) -> Counter[str]:
        """The reasons why requests were not answered, with their numbers."""
        return Counter(request.reason for request in self.requests if request.reason)

    def longest_wait(self) -> float:
        """The longest that a client waited for the end of its request, in seconds."""
        return max((request.wait for request in self.requests), default=0.0)

    def during(self, begin: float, end: float = math.inf) -> "Account":
        """The requests that began in this span of time."""
        return Account([request for request in self.requests if begin <= request.began < end])

    def waits(self) -> list[float]:
        """The waits of the answered requests, in seconds."""
        return [request.wait for request in self.requests if request.ending is Ending.ANSWERED]

    def recovered(self, struck: float, over: float) -> float | None:
        """Seconds from the end of a fault until all answers were right and as fast as before; None if they never were.

        Args:
            struck: when the fault began; the time before it is the baseline.
            over: when it ended.
        """
        normal = max(3 * quantile(self.during(0, struck).waits(), 0.95), NOISE)
        after = self.during(over)
        if not after.requests:
            return None
        good = 0
        for start in itertools.count(over, WINDOW):
            window = after.during(start, start + WINDOW)
            if start + WINDOW > after.requests[-1].began:
                return None
            well = bool(window.requests) and window.count(Ending.ANSWERED) == len(window.requests)
            good = good + 1 if well and quantile(window.waits(), 0.95) <= normal else 0
            if good == SETTLED:
                return start - (SETTLED - 1) * WINDOW - over
        return None

    def longest_silence(self, begin: float, end: float) -> float:
        """The longest time without any right answer, in seconds."""
        answers = sorted(request.ended for request in self.requests if request.ending is Ending.ANSWERED)
        moments = [begin, *(moment for moment in answers if begin < moment < end), end]
        return max(later - earlier for earlier, later in itertools.pairwise(moments))


def quantile(values: Iterable[float], share: float) -> float:
    """The value that this share of the values does not exceed; infinity if there are no values."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else math.inf
