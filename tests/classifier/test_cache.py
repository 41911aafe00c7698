"""The answer cache, against an answerer that counts what it is asked; and in the served model."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

import pytest
import requests
from classifier.cache import ResponseCache
from classifier.types import Request, Response
from mnist_torchserve.contract import blank
from mnist_torchserve.service import Archive
from mnist_torchserve.status import scrape
from mnist_torchserve.waiting import wait_until
from tests.support.fixtures import MakeServer


class Echo:
    """Answers a body with itself; a body that begins with `bad` is refused."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, requests: Sequence[Request]) -> list[Response]:
        self.asked += [request.body for request in requests]
        return [self.answer(*request) for request in requests]

    @staticmethod
    def answer(body: bytes, media_type: str, details: bool) -> Response:
        status = HTTPStatus.BAD_REQUEST if body.startswith(b"bad") else HTTPStatus.OK
        return Response(status, b"%s:%d:%s" % (media_type.encode(), details, body))


@pytest.mark.parametrize("size", [1, 2, 100])
def test_answers_are_those_without_a_cache(size: int) -> None:
    cache = ResponseCache(Echo(), size)
    batches = [b"a b a bad c", b"c b bad bad a", b"a a a"]
    for batch in batches:
        kinds = [("x", False), ("x", True), ("y", False)]
        requests = [Request(body, *kind) for body in batch.split() for kind in kinds]
        assert cache(requests) == [Echo.answer(*request) for request in requests]


def test_repeated_payload_is_computed_once() -> None:
    echo = Echo()
    cache = ResponseCache(echo, 10)
    cache([Request(b"a", ""), Request(b"b", ""), Request(b"a", "")])
    cache([Request(b"a", ""), Request(b"c", "")])
    assert echo.asked == [b"a", b"b", b"c"]
    assert cache.hits == 2


def test_same_bytes_of_another_media_type_are_another_payload() -> None:
    echo = Echo()
    cache = ResponseCache(echo, 10)
    cache([Request(b"a", "application/json")])
    cache([Request(b"a", "application/octet-stream")])
    assert len(echo.asked) == 2


def test_refusals_are_not_remembered() -> None:
    echo = Echo()
    cache = ResponseCache(echo, 10)
    cache([Request(b"bad", "")])
    cache([Request(b"bad", "")])
    assert echo.asked == [b"bad", b"bad"]


def test_what_was_used_longest_ago_goes_first() -> None:
    echo = Echo()
    cache = ResponseCache(echo, 2)
    for body in (b"a", b"b", b"a", b"c", b"a", b"b"):
        cache([Request(body, "")])
    assert echo.asked == [b"a", b"b", b"c", b"b"]


def test_hits_are_counted_in_the_metrics(make_server: MakeServer, archive: Archive, tmp_path: Path) -> None:
    archive.variant(tmp_path, minWorkers=1, maxWorkers=1, handler={"cacheSize": 10, "metricsPeriod": 1})
    with make_server(model_store=tmp_path).running() as server:
        answers = [requests.post(server.predict_url, json=blank(0.5), timeout=10).content for _ in range(4)]
        assert len(set(answers)) == 1
        hits = re.compile(r"^classifier_cache_hits_total\{.*\} 3\.0$", re.MULTILINE)
        wait_until(lambda: hits.search(scrape.read(server.metrics_url) or ""), 10)
