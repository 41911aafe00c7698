"""The judgement of scripts/chaos: what its clients make of a service that is wrong, refuses, is cut off or silent."""

import socket
import threading

import pytest
from mnist_torchserve.faults.account import Account, Attempt, Ending
from mnist_torchserve.faults.crowd import CUT, NOT_ACCEPTED, Crowd
from mnist_torchserve.ports import free_ports
from mnist_torchserve.waiting import wait_until
from tests.support.stub import Stub

DEADLINE = 10.0  # s


def asked(url: str) -> Crowd:
    """Eight clients that have had at least twenty requests between them."""
    crowd = Crowd(url, DEADLINE, clients=8, pace=0.01)
    with crowd.running():
        wait_until(lambda: len(crowd.account().requests) >= 20, DEADLINE)
    assert crowd.lost() == 0
    return crowd


def endings(crowd: Crowd) -> set[Ending]:
    return {request.ending for request in crowd.account().requests}


@pytest.mark.parametrize("answer", [{"prediction": 7, "confidence": 0.5}, {"prediction": 7}, [], {"code": 200}])
def test_answer_that_is_not_the_digits_is_wrong(service_stub: Stub, answer: object) -> None:
    service_stub.answers["/predict"] = answer
    assert endings(asked(f"{service_stub.url}/predict")) == {Ending.WRONG}


def test_refusal_must_say_what_it_is(service_stub: Stub) -> None:
    service_stub.most_connections = 0  # it refuses everybody, with a body that is no error
    service_stub.answers["/predict"] = {"code": 503, "type": "ServiceUnavailableException", "message": "Come again."}
    assert endings(asked(f"{service_stub.url}/predict")) == {Ending.REFUSED}
    service_stub.answers["/predict"] = {"code": 500}
    assert endings(asked(f"{service_stub.url}/predict")) == {Ending.WRONG}


def test_connection_that_is_cut_or_refused_is_a_failure(service_stub: Stub) -> None:
    service_stub.answers_left = 0
    assert set(asked(f"{service_stub.url}/predict").account().reasons()) == {CUT}
    [nobody] = free_ports(1)
    assert set(asked(f"http://127.0.0.1:{nobody}/predict").account().reasons()) == {NOT_ACCEPTED}


def test_silence_is_hanging() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        crowd = Crowd(f"http://127.0.0.1:{silent.getsockname()[1]}/predict", 0.5, clients=4)
        with crowd.running():
            threading.Event().wait(0.2)
    assert endings(crowd) == {Ending.HANGING}
    assert crowd.account().longest_wait() >= 0.5


def test_recovery_is_when_all_answers_are_right_and_quick_again() -> None:
    def second(begin: float, wait: float = 0.01, ending: Ending = Ending.ANSWERED) -> list[Attempt]:
        return [Attempt(begin + tenth / 10, wait, ending) for tenth in range(10)]

    before = [request for moment in range(3) for request in second(moment)]
    down = second(3, ending=Ending.FAILED)
    slow = second(4, wait=0.6)
    after = [request for moment in range(5, 9) for request in second(moment)]
    account = Account([*before, *down, *slow, *after])
    assert account.recovered(3, 3) == pytest.approx(2)
    assert account.recovered(3, 4) == pytest.approx(1)
    assert Account([*before, *down, *slow]).recovered(3, 3) is None
    assert account.longest_silence(3, 6) == pytest.approx(1.6)
