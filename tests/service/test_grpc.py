"""TorchServe's gRPC, asked by a client that is made from TorchServe's own proto."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mnist_torchserve.client import digits
from mnist_torchserve.service import TorchServe
from tests.support.fixtures import Sample
from tests.support.grpc_client import GrpcClient
from tests.support.pictures import saved


@pytest.fixture(scope="module")
def grpc_api(node: TorchServe, stubs: Path) -> Iterator[GrpcClient]:
    client = GrpcClient(str(node.grpc_address), stubs)
    with client.channel:
        yield client


def test_grpc_predicts_from_all_that_it_can_carry(grpc_api: GrpcClient, sample: Sample) -> None:
    row, label = sample[0][0], int(sample[1][0])
    body = json.dumps({"data": row.tolist()}).encode()
    png = saved(digits.levels(row))
    answers = [grpc_api.predict(body=body), grpc_api.predict(data=body), grpc_api.predict(data=png)]
    assert answers[0]["prediction"] == label
    assert answers[1:] == answers[:1] * 2
    several = json.dumps({"instances": [row.tolist()] * 2}).encode()
    assert grpc_api.predict(data=several) == {"predictions": answers[:2]}


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"body": b"seven"}, 400, "Expected JSON"),
        ({"data": b'{"data": [0.0]}'}, 422, "Expected 784 numbers, got 1"),
        ({"data": b"\x89PNG\r\n\x1a\n"}, 400, "Expected a whole PNG"),
        ({"image": b""}, 415, "Expected"),
    ],
)
def test_grpc_has_the_code_in_the_body(grpc_api: GrpcClient, fields: dict[str, bytes], code: int, words: str) -> None:
    """TorchServe drops the status of a gRPC answer: each is OK."""
    error = grpc_api.predict(**fields)
    assert error["code"] == code
    assert words in error["message"]


def test_grpc_stream_is_one_answer_and_costs_no_worker(grpc_api: GrpcClient, node: TorchServe, sample: Sample) -> None:
    body = json.dumps({"data": sample[0][0].tolist()}).encode()
    before = {worker.pid for worker in node.workers()}
    for fields in ({"body": body}, {"data": body}, {"body": b"seven"}):
        assert grpc_api.stream(**fields) == [grpc_api.predict(**fields)]
    assert {worker.pid for worker in node.workers()} == before
