"""Two models in one TorchServe behind one gateway: each by its name, over every protocol, and judged for itself."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from mnist_torchserve.contract import PIXELS, TIMEOUT, blank
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.packaging.package import package
from mnist_torchserve.service import Archive, TorchServe
from mnist_torchserve.status.observation import Observation
from mnist_torchserve.waiting import wait_until
from tests.packaging import networks
from tests.packaging.networks import NETWORKS
from tests.support.fixtures import MakeGateway, MakeServer, Sample
from tests.support.gateway_client import assert_refused
from tests.support.grpc_client import GrpcClient
from tests.support.workers import stuck

NETWORK = "has_arguments"  # of 26 classes, which have names
LETTERS = "letters-" * 8  # 64 characters, as many as a name may have
MODELS = {"mnist": None, LETTERS: NETWORKS[NETWORK].said["labels"]}


@pytest.fixture(scope="module")
def server(make_server: MakeServer, archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServe]:
    folder = tmp_path_factory.mktemp("models")
    brought, _ = networks.write(NETWORK, folder / NETWORK)
    other = Archive(folder / f"{LETTERS}.mar", folder / "contents")
    package(brought, other.contents, lambda _: None)
    other.build()
    shutil.copy(archive.path, folder)
    with make_server(folder, load_models=",".join(f"{model}.mar" for model in MODELS)).running() as server:
        yield server


@pytest.fixture(scope="module")
def front(make_gateway: MakeGateway, server: TorchServe) -> Iterator[Gateway]:
    with make_gateway(server).running() as gateway:
        yield gateway


@pytest.fixture(params=["gateway", "torchserve"])
def client(request: pytest.FixtureRequest, server: TorchServe, front: Gateway, stubs: Path) -> Iterator[GrpcClient]:
    address = front.settings.listen if request.param == "gateway" else server.grpc_address
    client = GrpcClient(str(address), stubs)
    with client.channel:
        yield client


def get(gateway: Gateway, path: str) -> tuple[int, Any]:
    answer = requests.get(gateway.url + path, timeout=TIMEOUT)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("model", MODELS)
def test_grpc_reaches_each_model_with_the_answers_of_http(
    client: GrpcClient, server: TorchServe, sample: Sample, model: str
) -> None:
    single, several = {"data": sample[0][0].tolist()}, {"instances": sample[0][:3].tolist()}
    for document in (single, several):
        url = f"{server.inference_url}/predictions/{model}"
        expected = requests.post(url, json=document, timeout=TIMEOUT).json()
        for name in ("data", "body"):
            fields = {name: json.dumps(document).encode()}
            assert client.predict(model, **fields) == expected
            assert client.stream(model, **fields) == [expected]
    labels = MODELS[model]
    assert client.predict(model, data=json.dumps(single).encode()).get("label") in (labels or [None])


def test_grpc_of_an_unknown_model_says_so(client: GrpcClient, front: Gateway) -> None:
    at_gateway = client.address == str(front.settings.listen)
    for model, code, words in (
        ("other", grpc.StatusCode.NOT_FOUND, "Model not found: other"),
        ("größer", grpc.StatusCode.NOT_FOUND, "Model not found: größer"),
        ("", grpc.StatusCode.INVALID_ARGUMENT, "Parameter model_name is required"),
    ):
        for ask in (client.predict, client.stream):
            with pytest.raises(grpc.RpcError) as caught:
                ask(model, data=b"{}")
            assert caught.value.code() == (code if at_gateway else grpc.StatusCode.INTERNAL), "TorchServe has one code"
            assert words in caught.value.details()
            assert ("Exception" in caught.value.details()) != at_gateway


@pytest.mark.parametrize("model", MODELS)
def test_metadata_are_those_of_the_models_answers(front: Gateway, sample: Sample, model: str) -> None:
    tensor = {"name": "pixels", "shape": [2, 784], "datatype": "FP32", "data": sample[0][:2].tolist()}
    answer = requests.post(f"{front.url}/v2/models/{model}/infer", json={"inputs": [tensor]}, timeout=TIMEOUT).json()
    for path in (f"/v2/models/{model}", f"/v2/models/{model}/versions/1.0"):
        status, metadata = get(front, path)
        assert status == 200
        assert metadata["name"] == answer["model_name"] == model
        assert metadata["versions"] == [answer["model_version"]]
        assert metadata["outputs"] == [
            {"name": output["name"], "datatype": output["datatype"], "shape": [-1]} for output in answer["outputs"]
        ]
        assert ("label" in str(metadata)) == (MODELS[model] is not None)


def test_each_model_is_judged_for_itself(server: TorchServe, front: Gateway) -> None:
    assert get(front, "/v1/models") == (200, {"models": [*MODELS]})
    assert get(front, "/v2/health/ready") == (200, {"name": "mnist", "ready": True})
    well = Observation.of(server, front)
    assert well.problems == []
    assert {model: list(labels) or None for model, labels in well.models.items()} == MODELS
    infer = f"{front.url}/v2/models/{LETTERS}/infer"
    with stuck(server, LETTERS), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(requests.post, infer, json=blank(), timeout=TIMEOUT)
        ill = Observation.of(server, front)
        assert [LETTERS in problem and "mnist" not in problem for problem in ill.problems] == [True]
        for path in (f"/v1/models/{LETTERS}", f"/v2/models/{LETTERS}/ready", "/v2/health/ready"):
            assert get(front, path) == (503, {"name": LETTERS, "ready": False})
        assert_refused(requests.get(f"{front.url}/v2/models/{LETTERS}", timeout=TIMEOUT), 503, kserve=True)
        for path in ("/v1/models/mnist", "/v2/models/mnist/ready"):
            assert get(front, path) == (200, {"name": "mnist", "ready": True})
        assert get(front, "/health")[0] == 200, "which means the first"
        assert_refused(waiting.result(), 504, kserve=True)
    wait_until(lambda: get(front, "/v2/health/ready")[0] == 200, TIMEOUT)
    with stuck(server, "mnist"):
        assert get(front, "/v2/health/ready") == (503, {"name": "mnist", "ready": False})


def test_metrics_count_each_model_for_itself(server: TorchServe, front: Gateway) -> None:
    refused = {"instances": [[2.0] * PIXELS]}
    for model, count in zip(MODELS, (1, 2), strict=True):
        for _ in range(count):
            requests.post(f"{front.url}/v1/models/{model}:predict", json=refused, timeout=TIMEOUT)

    def counted() -> list[float | None]:
        metrics = Observation.of(server, front).metrics
        return [metrics.sum("classifier_refusals_total", model=model, reason="range") for model in MODELS]

    wait_until(lambda: counted() == [1, 2], TIMEOUT)  # each worker reports once a second
