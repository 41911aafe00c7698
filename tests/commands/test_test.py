"""scripts/test: interrupted, it ends the servers of its tests before it ends."""

import signal

import psutil
import pytest
from tests.support.checkout import Checkout


def servers(checkout: Checkout) -> list[psutil.Process]:
    """What runs with a path in the temporary folder of the checkout's commands."""
    everything = psutil.process_iter(["cmdline"])
    return [each for each in everything if any(checkout.temporary in word for word in each.info["cmdline"] or ())]


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_suite_leaves_no_server_behind(checkout: Checkout, signal_: signal.Signals) -> None:
    process = checkout.popen("env --default-signal scripts/test -v -n0 tests/test_api.py")
    checkout.wait_for_output("PASSED")
    assert servers(checkout)
    process.send_signal(signal_)
    assert process.wait(60) != 0
    assert servers(checkout) == []
