"""Commands that start servers, ended in the middle of their work: nothing that they started outlives them."""

import signal

import pytest
from mnist_torchserve.waiting import wait_until
from tests.support.checkout import Checkout


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_suite_leaves_no_server_behind(checkout: Checkout, signal_: signal.Signals) -> None:
    process = checkout.popen("env --default-signal scripts/test -v -n0 tests/test_api.py")
    checkout.wait_for_output("PASSED")
    assert checkout.survivors() != [process]
    process.send_signal(signal_)
    assert process.wait(60) != 0
    assert checkout.survivors() == []


@pytest.mark.parametrize(
    ("command", "signal_", "until"),
    [
        ("scripts/bench --quick", signal.SIGTERM, "checking and warming up"),
        ("scripts/chaos --quick", signal.SIGTERM, "kill-worker, gateway: "),
        ("scripts/loadtest --history history.jsonl", signal.SIGTERM, "seed: 100 users"),
        ("scripts/loadtest --history history.jsonl", signal.SIGHUP, "seed: 100 users"),
    ],
)
def test_command_that_is_ended_ends_what_it_started(
    checkout: Checkout, command: str, signal_: signal.Signals, until: str
) -> None:
    usual = []
    if "loadtest" in command:
        checkout.run("scripts/serve --detach")
        usual = checkout.survivors()
    process = checkout.popen(f"env --default-signal {command}")
    checkout.wait_for_output(until)
    wait_until(lambda: len(checkout.survivors()) > len(usual) + 1, 60)
    process.send_signal(signal_)
    assert process.wait(60) != 0
    assert checkout.survivors() == usual
    assert "Traceback" not in checkout.output()


@pytest.mark.parametrize("times", [1, 2])
def test_terminal_that_is_full_or_closed_stops_no_stopping(checkout: Checkout, times: int) -> None:
    process = checkout.popen("exec env --default-signal scripts/serve --gateway >/dev/full 2>&1")
    wait_until(lambda: process.poll() is not None or checkout.gateway.process(), 90)
    for _ in range(times):  # who is impatient gets no more than one who is not
        process.send_signal(signal.SIGINT)
    assert process.wait(60) in (0, 1)
    assert checkout.survivors() == []
