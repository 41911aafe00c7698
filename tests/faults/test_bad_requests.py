"""Bad requests by the hundred at both faces: what each is answered, and what they leave behind."""

import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from threading import Event
from urllib.parse import urlsplit

import pytest
import requests
from mnist_torchserve.client import digits
from mnist_torchserve.contract import TIMEOUT, Deployment
from mnist_torchserve.faults.account import Ending
from mnist_torchserve.faults.bad_requests import bad_bodies, campaign
from mnist_torchserve.faults.bad_requests.exchanges import Draft, Face
from mnist_torchserve.faults.bad_requests.kind import HOSTILE, good
from mnist_torchserve.faults.crowd import Crowd
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.service import TorchServe, health
from tests.support import stub

Faces = dict[str, Deployment]

COUNT = 500
SEED = 20_261_123


@pytest.fixture
def faces(node: TorchServe, gateway: Gateway) -> Faces:
    return {
        "torchserve": Deployment.torchserve(node.inference_url, node.management_url),
        "gateway": Deployment.gateway(gateway.url),
    }


@contextmanager
def unharmed(node: TorchServe) -> Iterator[None]:
    """Nothing within may cost a process or a right answer."""
    before = {node.process(), *node.workers()}
    yield
    assert {node.process(), *node.workers()} == before
    health.check(node.management_url, node.models[0])


@pytest.mark.parametrize("name", ["torchserve", "gateway"])
def test_bad_requests_are_refused_and_good_ones_among_them_answered(faces: Faces, node: TorchServe, name: str) -> None:
    with unharmed(node):
        tally = campaign.run(faces[name], COUNT, SEED)
    assert tally.violations == []
    assert tally.sent == COUNT
    possible = {kind.name for kind in campaign.KINDS if getattr(kind, name)}
    assert set(tally.kinds) == possible | {campaign.GOOD}, "each kind is sent"


@pytest.mark.parametrize("name", ["torchserve", "gateway"])
def test_poison_costs_its_sender_an_error_and_nobody_else_anything(faces: Faces, node: TorchServe, name: str) -> None:
    face, allowed = Face.of(faces[name]), frozenset({400, 422})
    crowd = Crowd(faces[name].predict, TIMEOUT, clients=12, pace=0.01)
    with unharmed(node), crowd.running():
        for number in range(100):
            drop = bad_bodies.poison(Random(number)).exchange(face, "poison", allowed)
            assert campaign.carry_out(faces[name], drop).problem == ""
    account = crowd.account()
    assert account.count(Ending.ANSWERED) == len(account.requests) > 100, account.reasons()


def test_wrong_and_missing_answers_are_found() -> None:
    with stub.running() as liar:  # 7 to whatever is asked
        tally = campaign.run(Deployment.gateway(liar.url), 100, SEED)
        liar.answers_left = 0
        silent = campaign.run(Deployment.gateway(liar.url), 50, SEED)
    gone = campaign.run(Deployment.gateway(liar.url), 10, SEED)
    assert any(violation.startswith("good: expected") for violation in tally.violations)
    assert any("expected 422, got 200" in violation for violation in tally.violations)
    assert any(violation.startswith("good: expected 200, got closed") for violation in silent.violations)
    assert gone.violations
    assert all("no connection" in violation for violation in gone.violations)


def test_interruption_sends_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    never = Event()

    def attempt(_: Deployment, __: int, number: int) -> campaign.ExchangeOutcome:
        sent.append(number)
        never.wait(0.2 if number else 0)
        return campaign.ExchangeOutcome("one", "200", "", 0.0)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(campaign, "attempt", attempt)
    with pytest.raises(KeyboardInterrupt):
        campaign.run(Deployment.gateway("http://127.0.0.1:9"), 20, 1, clients=1, progress=interrupt)
    assert len(sent) < 20


def test_same_seed_sends_the_same_and_another_something_else(faces: Faces) -> None:
    face = Face.of(faces["gateway"])

    def sent(seed: int) -> list[object]:
        return [campaign.exchange_of(face, seed, number) for number in range(50)]

    assert sent(1) == sent(1)
    assert sent(1) != sent(2)


def test_request_within_a_request_gets_nobody_elses_answer(faces: Faces, node: TorchServe) -> None:
    """What TorchServe does not expect it refuses, and reads the body as a request whose answer is the next client's."""
    within = good(Random(0)).wire(Face(b"/predictions/mnist", b"", is_gateway=False))
    pixels, labels = digits.sample()

    def bad(_: int) -> int:
        return faces["gateway"].post(within, headers={"Expect": "a-miracle"}).status_code

    def good_(index: int) -> int:
        return int(faces["gateway"].predict_json({"data": (pixels[index] / 255).tolist()}).json()["prediction"])

    with unharmed(node), ThreadPoolExecutor(16) as pool:
        refused = pool.map(bad, range(100))
        answers = pool.map(good_, range(60))
    assert set(refused) == {400}
    wrong = sum(answer != label for answer, label in zip(answers, labels, strict=False))
    assert wrong <= 1, "a digit or two of these is hard to read, and no more"


def hostile_requests(text: bytes) -> list[Draft]:
    """Requests with a text wherever TorchServe might quote it, or a worker might print it."""
    path = re.sub(rb"[\r\n ]", b"\x1b", text)  # which end a request line
    return [
        Draft(path=b"/%zz" + path),
        Draft(b"%zz" + text + b"=x", media_type=b"application/x-www-form-urlencoded"),
        Draft(text),
        Draft(b'{"data": "' + text + b'"}'),
        Draft(b"{}", media_type=b"text/plain; " + text),
        Draft(b"{}", headers=[b"X-Note: " + text, b"x-request-id: " + text]),
    ]


def test_no_client_writes_a_line_of_a_log_or_a_metric(node: TorchServe, gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        lookup = f"${{jndi:ldap://127.0.0.1:{trap.getsockname()[1]}/forged}}"
        for url, is_gateway in ((node.inference_url, False), (gateway.url, True)):
            face = Face(b"/predict" if is_gateway else b"/predictions/mnist", b"", is_gateway)
            for text in [*HOSTILE, lookup.encode()]:
                for draft in hostile_requests(text):
                    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), TIMEOUT) as connection:
                        connection.sendall(draft.wire(face))
                        assert connection.recv(65536).startswith(b"HTTP/1.1 ")
        log = (node.logs / "ts_log.log").read_text()
        assert lookup in log, "it is quoted, or this test tests nothing"
        with pytest.raises(BlockingIOError):
            trap.accept()
    assert "[ERROR] forged" in log
    for name in ("ts_log.log", "model_log.log"):
        for line in (node.logs / name).read_text().split("\n"):
            assert re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3} (\[\w+ *\] )?\S+ |    |$", line)
            assert not line.startswith("2026-01-01T00:00:00")
            assert line.replace("\t", "").isprintable()
    assert "forged" not in (node.logs / "model_log.log").read_text().lower()
    assert "Forged" not in requests.get(f"{node.metrics_url}/metrics", timeout=TIMEOUT).text
    for line in gateway.access_log.read_text().splitlines():
        assert line.isprintable()
        assert len(json.loads(line)) == 13, "as docs/gateway.md shows it"
