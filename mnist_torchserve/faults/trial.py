"""A trial: one fault while clients send requests, from shortly before it until the service has recovered."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from .account import Account, Ending, quantile
from .catalog import Fault
from .crowd import Crowd
from .testbed import DEADLINES, GATEWAY, Testbed

WARM_UP = 10.0  # s
BEFORE = 3.0  # s of undisturbed load, to measure what is normal
AFTER = 2.0  # s of undisturbed load at the end
PATIENCE = 45.0  # s to wait for a recovery
SILENCE = 1.0  # s without any answer that do not count as an interruption
SLOWER = 2.0  # times the p99 from before, at most, during a harmless fault
_LATE = 0.5  # s that an answer may reach the client after the gateway's deadline of 5 s
_POLL = 0.1  # s


@dataclass(frozen=True)
class Trial:
    """What a fault did to the service."""

    fault: Fault
    face: str  # where the clients sent their requests
    account: Account  # of all requests
    lost: int  # requests that are not in the account
    again: float | None  # s after the fault until all answers were right and fast again; None if they never were
    whole: float | None  # s after it until every worker was READY; None if they never were
    silence: float  # the longest time in s without any answer, from the fault until the recovery
    dropped: int  # requests that the gateway accepted and did not answer
    slower: float  # p99 during the fault ÷ p99 before
    replaced: int  # workers that were replaced

    def misses(self, *, timed: bool) -> list[str]:
        """The requirements that were not met; times are judged only if `timed`."""
        wrong, hanging = self.account.count(Ending.WRONG), self.account.count(Ending.HANGING)
        within = self.fault.within if timed else PATIENCE
        checks = {
            f"{wrong} wrong answers": wrong > 0,
            f"{self.lost} requests lost": self.lost > 0,
            f"no recovery within {within:g} s": self.slowest() > within,
        }
        if self.fault.harmless:
            unanswered = len(self.account.requests) - self.account.count(Ending.ANSWERED)
            checks |= {
                f"{unanswered} requests of other clients not answered": unanswered > 0,
                f"{self.replaced} workers replaced": self.replaced > 0,
                f"p99 of other clients {self.slower:.1f} times the p99 before": timed and self.slower > SLOWER,
            }
        # TorchServe alone may leave requests hanging or cut them off: that is why there is a gateway.
        if self.face == GATEWAY:
            longest = self.account.longest_wait()
            checks |= {
                f"{hanging} requests hanging": hanging > 0,
                f"a wait of {longest:.1f} s": longest > 5 + _LATE,
                f"{self.dropped} accepted requests dropped": self.fault.drains and self.dropped > 0,
                f"no answers for {self.silence:.1f} s": timed and self.fault.serves_on and self.silence > SILENCE,
            }
        return [f"{self.fault.name}, {self.face}: {miss}" for miss, is_so in checks.items() if is_so]

    def slowest(self) -> float:
        """Seconds until both the answers and the workers were as before; infinity if they never were."""
        return max(float("inf") if moment is None else moment for moment in (self.again, self.whole))


def warm_up(testbed: Testbed) -> None:
    """Load a service that has just started until its JVM has compiled its code, which takes CPU for a while."""
    with Crowd(testbed.deployment(GATEWAY).predict, DEADLINES[GATEWAY]).running():
        time.sleep(WARM_UP)


def run(fault: Fault, face: str, testbed: Testbed) -> Trial:
    """Inflict a fault on a healthy service, and wait until it has recovered.

    Raises:
        NotPossibleError: this machine does not allow the fault.
        ServiceError: the service did not start again.
    """
    with fault.prepared(testbed):
        crowd, since = Crowd(testbed.deployment(face).predict, DEADLINES[face]), datetime.now(UTC)
        with crowd.running():
            time.sleep(BEFORE)
            workers = {worker.pid for worker in testbed.server.workers()}
            struck = time.monotonic()
            fault.inflict(testbed)
            over = struck if fault.is_instant else time.monotonic()
            again, whole = None, None
            given_up = time.monotonic() + PATIENCE
            while time.monotonic() < given_up and (again is None or whole is None):
                if whole is None and testbed.is_whole():
                    whole = time.monotonic() - over
                again = crowd.account().recovered(struck, over)
                time.sleep(_POLL)
            well = time.monotonic()
            time.sleep(AFTER)
        account = crowd.account()
        dropped = testbed.dropped(since)
        replaced = len(workers - {worker.pid for worker in testbed.server.workers()})
    silence = account.longest_silence(struck, well)
    before, meanwhile = (quantile(account.during(*span).waits(), 0.99) for span in ((0, struck), (struck, over)))
    slower = meanwhile / before
    return Trial(fault, face, account, crowd.lost(), again, whole, silence, dropped, slower, replaced)
