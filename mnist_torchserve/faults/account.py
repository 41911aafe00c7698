"""The account of requests under a fault: each is in it once, with how it ended and how long that took."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

WINDOW = 0.5  # s; a service is back once SETTLED of these in a row are as before
SETTLED = 3
NOISE = 0.1  # s; on a machine that is shared, less is no difference


class Ending(StrEnum):
    """How a good request can end."""

    ANSWERED = "answered"  # rightly
    REFUSED = "refused"  # 429 or 503, which says to come again
    FAILED = "failed"  # another error, within the deadline
    WRONG = "wrong"  # an answer that is not the digit's
    HANGING = "hanging"  # nothing until long after the deadline


class Attempt(NamedTuple):
    """One request of the account."""

    began: float  # s, of the monotonic clock
    wait: float  # s until it ended
    ending: Ending
    reason: str = ""  # why it was not answered
    retry_after: bool = False  # whether a refusal said when to come again

    @property
    def ended(self) -> float:
        """When it ended."""
        return self.began + self.wait


@dataclass(frozen=True)
class Account:
    """All requests of some clients, in the order of their beginnings."""

    requests: Sequence[Attempt]

    def count(self, ending: Ending) -> int:
        """Requests that ended so."""
        return sum(request.ending is ending for request in self.requests)

    def reasons(self) -> Counter[str]:
        """Why requests were not answered, and how many."""
        return Counter(request.reason for request in self.requests if request.reason)

    def longest_wait(self) -> float:
        """Seconds until the last client knew."""
        return max((request.wait for request in self.requests), default=0.0)

    def during(self, begin: float, end: float = math.inf) -> "Account":
        """Those that began within."""
        return Account([request for request in self.requests if begin <= request.began < end])

    def waits(self) -> list[float]:
        """Of those that were answered."""
        return [request.wait for request in self.requests if request.ending is Ending.ANSWERED]

    def recovered(self, struck: float, over: float) -> float | None:
        """Seconds from the end of a fault until all answers were right and as fast as before; None if they never were.

        Args:
            struck: when the fault began; what was before is the measure.
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
        """Seconds within which nobody got a right answer."""
        answers = sorted(request.ended for request in self.requests if request.ending is Ending.ANSWERED)
        moments = [begin, *(moment for moment in answers if begin < moment < end), end]
        return max(later - earlier for earlier, later in itertools.pairwise(moments))


def quantile(values: Iterable[float], share: float) -> float:
    """The value that this share of the values does not exceed; infinite if there are none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else math.inf
