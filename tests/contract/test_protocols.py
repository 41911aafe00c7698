"""KServe's protocols at both faces, V2 asked by a client that is not ours, Triton's."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import numpy as np
import pytest
import requests
from numpy.typing import NDArray
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException
from mnist_torchserve.client import digits
from mnist_torchserve.contract import PIXELS, TIMEOUT, Deployment
from mnist_torchserve.service import TorchServe
from tests.support.fixtures import MakeGateway, Sample
from tests.support.secrets import write_secret
from tests.support.workers import stuck

Answers = list[dict[str, Any]]


@pytest.fixture(scope="module")
def expected(deployment: Deployment, sample: Sample) -> Answers:
    """What the first images get by themselves."""
    return [deployment.predict_json({"data": row.tolist()}).json() for row in sample[0][:4]]


@pytest.fixture(scope="module")
def triton(deployment: Deployment) -> Iterator[InferenceServerClient]:
    url = urlsplit(deployment.predict)
    with InferenceServerClient(url.netloc, network_timeout=TIMEOUT, ssl=url.scheme == "https") as client:
        yield client


def v1(deployment: Deployment, document: Any) -> requests.Response:
    return post(deployment, "/v1/models/mnist:predict", document)


def post(deployment: Deployment, path: str, document: Any) -> requests.Response:
    headers = {"x-api-key": deployment.key} if deployment.key else {}
    return requests.post(urljoin(deployment.predict, path), json=document, headers=headers, timeout=TIMEOUT)


def infer(
    deployment: Deployment, triton: InferenceServerClient, values: NDArray[Any], datatype: str = "FP32", **options: Any
) -> InferResult:
    tensor = InferInput("pixels", list(values.shape), datatype)
    tensor.set_data_from_numpy(values, binary_data=options.pop("binary_data", False))
    headers = {"x-api-key": deployment.key} if deployment.key else None
    return triton.infer("mnist", [tensor], headers=headers, **options)


def assert_answers(result: InferResult, expected: Answers) -> None:
    assert result.as_numpy("prediction").dtype == np.int64
    assert result.as_numpy("prediction").tolist() == [answer["prediction"] for answer in expected]
    assert result.as_numpy("confidence").dtype == np.float32
    np.testing.assert_allclose(result.as_numpy("confidence"), [answer["confidence"] for answer in expected], atol=1e-6)
    assert result.as_numpy("error").tolist() == [""] * len(expected)


def test_v1_answers_each_instance_by_itself(deployment: Deployment, sample: Sample, expected: Answers) -> None:
    rows = sample[0][:4]
    forms = [rows[0].tolist(), rows[1].reshape(28, 28).tolist(), {"data": rows[2].tolist()}]
    bad = [rows[3].tolist()[1:], [[0.0] * 28] * 27, {"image": []}, [*[0] * (PIXELS - 1), 7], "seven"]
    response = v1(deployment, {"instances": [bad[0], *forms, *bad[1:]]})
    assert response.status_code == 200
    first, *rest = response.json()["predictions"]
    assert rest[:3] == expected[:3]
    errors = [first, *rest[3:]]
    assert [error["code"] for error in errors] == [422] * 5
    for error, words in zip(
        errors,
        [
            "Expected 784 numbers, got 783 - at `$.instances[0]`",
            "Expected 28 rows of 28 numbers",
            "missing required field `data` - at `$.instances[5]`",
            "got 7 - at `$.instances[6][783]`",
            "Expected `array`, got `str` - at `$.instances[7]`",
        ],
        strict=True,
    ):
        assert words in error["message"]


def test_v1_refuses_what_is_no_list_of_images(deployment: Deployment) -> None:
    refused: list[Any] = [[], None, {}, "seven", [[0.0]] * 65]
    for instances in refused:
        response = v1(deployment, {"instances": instances})
        assert response.status_code == 422
        error = response.json()
        assert set(error) == {"code", "type", "message", "error"}
        assert error["error"] == error["message"]
        assert "at `$.instances`" in error["message"]


def test_request_with_no_good_image_is_refused(deployment: Deployment, triton: InferenceServerClient) -> None:
    response = v1(deployment, {"instances": [[0.0] * (PIXELS - 1), [2.0] * PIXELS]})
    assert (response.status_code, response.json()["code"]) == (422, 422)
    assert "Expected 784 numbers, got 783 - at `$.instances[0]`" in response.json()["error"]
    with pytest.raises(InferenceServerException, match=r"got 7 - at `\$\.inputs\[0\]\.data\[0\]\[0\]`") as caught:
        infer(deployment, triton, np.full((1, PIXELS), 7, np.float32))
    assert caught.value.status() == "422"


@pytest.mark.parametrize("shape", [(4, PIXELS), (4, 28, 28), (4, 1, 28, 28)])
@pytest.mark.parametrize("binary_data", [False, True], ids=["JSON", "binary"])
@pytest.mark.parametrize("datatype", ["FP32", "UINT8"])
def test_v2_answers_tensors(
    deployment: Deployment,
    triton: InferenceServerClient,
    sample: Sample,
    expected: Answers,
    shape: tuple[int, ...],
    binary_data: bool,
    datatype: str,
) -> None:
    values = sample[0][:4].reshape(shape)
    sent = digits.levels(values) if datatype == "UINT8" else values
    result = infer(deployment, triton, sent, datatype, binary_data=binary_data)
    assert_answers(result, expected)


def test_v2_answers_one_image_and_names_what_it_answers(
    deployment: Deployment, triton: InferenceServerClient, sample: Sample, expected: Answers
) -> None:
    for values in (sample[0][0], sample[0][0].reshape(28, 28)):
        result = infer(deployment, triton, values, request_id="Ärger 7")
        assert_answers(result, expected[:1])
        named = {name: value for name, value in result.get_response().items() if name != "outputs"}
        assert named == {"model_name": "mnist", "model_version": "1.0", "id": "Ärger 7"}
    wanted = [InferRequestedOutput("confidence"), InferRequestedOutput("prediction", binary_data=False)]
    outputs = infer(deployment, triton, sample[0][0], outputs=wanted).get_response()["outputs"]
    assert [output["name"] for output in outputs] == ["confidence", "prediction"]


def test_v2_tells_which_image_it_cannot_answer(
    deployment: Deployment, triton: InferenceServerClient, sample: Sample, expected: Answers
) -> None:
    values = sample[0][:4].copy()
    values[1, 5], values[2, 6] = 255, np.nan
    for binary_data in (False, True):
        result = infer(deployment, triton, values, binary_data=binary_data)
        assert result.as_numpy("prediction").tolist() == [expected[0]["prediction"], -1, -1, expected[3]["prediction"]]
        assert result.as_numpy("confidence")[1:3].tolist() == [0, 0]
        first, second, third, fourth = result.as_numpy("error")
        assert "got 255 - at `$.inputs[0].data[1][5]`" in second
        assert "got nan - at `$.inputs[0].data[2][6]`" in third
        assert (first, fourth) == ("", "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": [1, PIXELS - 1]}, "Expected the shape"),
        ({"shape": [0, PIXELS]}, "Expected the shape"),
        ({"shape": [65, PIXELS]}, "n from 1 to 64"),
        ({"shape": [-1, -PIXELS]}, "Expected the shape"),
        ({"shape": [2, PIXELS]}, "Expected 1568 values"),
        ({"shape": [[PIXELS]]}, "`$.inputs[0].shape[0]`"),
        ({"datatype": "BOOL"}, "'BOOL' - at `$.inputs[0].datatype`"),
        ({"datatype": "UINT8", "data": [256] * PIXELS}, "<= 255 - at `$.inputs[0].data[0]`"),
        ({"datatype": "UINT8", "data": [0.5] * PIXELS}, "Expected `int`"),
        ({"data": ["0"] * PIXELS}, "got `str` - at `$.inputs[0].data[0]`"),
        ({"data": [[0] * PIXELS, 0]}, "Expected `array`, got `int` - at `$.inputs[0].data[1]`"),
        ({"data": []}, "got 0 - at `$.inputs[0].data`"),
        ({"data": None}, "field `data` - at `$.inputs[0]`"),
        ({"data": None, "parameters": {"binary_data_size": PIXELS}}, "784, whole FP32 bytes behind the JSON, got 0"),
    ],
)
def test_v2_refuses_other_tensors(deployment: Deployment, change: dict[str, Any], words: str) -> None:
    tensor = {"name": "pixels", "shape": [1, PIXELS], "datatype": "FP32", "data": [0] * PIXELS} | change
    response = post(deployment, "/v2/models/mnist/infer", {"inputs": [tensor]})
    assert response.status_code == 422
    assert words in response.json()["error"]


def test_neighbours_with_many_images_get_their_own_answers(
    deployment: Deployment, sample: Sample, expected: Answers
) -> None:
    """One request more than a batch, at the same time, of one, two, three and four images."""

    def ask(count: int) -> Any:
        rows = sample[0][:count].tolist()
        return v1(deployment, {"instances": rows}).json()["predictions"] if count else deployment.post("{}").status_code

    counts = [number % 5 for number in range(40)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, counts))
    assert answers == [expected[:count] if count else 422 for count in counts]


def test_client_of_v2_learns_what_it_needs_before_it_asks(
    make_gateway: MakeGateway, node: TorchServe, sample: Sample, tmp_path: Path
) -> None:
    key = "a-key-of-the-tests"
    write_secret(tmp_path / "keys", key)
    with make_gateway(node, keys=str(tmp_path / "keys")).running() as gateway:
        deployment = Deployment.gateway(gateway.url, key)
        with InferenceServerClient(str(gateway.settings.listen), network_timeout=TIMEOUT) as client:
            assert client.is_server_live()
            assert client.is_server_ready()
            assert client.is_model_ready("mnist")
            assert not client.is_model_ready("other")
            assert client.get_server_metadata()["name"] == "mnist-torchserve"
            with pytest.raises(InferenceServerException) as caught:
                infer(Deployment.gateway(gateway.url), client, sample[0][:2])
            assert caught.value.status() == "401"

            metadata = client.get_model_metadata("mnist")
            answer = infer(deployment, client, sample[0][:2]).get_response()
            assert metadata["name"] == answer["model_name"]
            assert metadata["versions"] == [answer["model_version"]]
            assert metadata["inputs"] == [{"name": "pixels", "datatype": "FP32", "shape": [-1, PIXELS]}]
            assert metadata["outputs"] == [
                {"name": output["name"], "datatype": output["datatype"], "shape": [-1]} for output in answer["outputs"]
            ]
            with stuck(node):
                assert client.is_server_live()
                assert not client.is_server_ready()
                assert not client.is_model_ready("mnist")
                readiness = requests.get(f"{gateway.url}/v1/models/mnist", timeout=TIMEOUT)
                assert (readiness.status_code, readiness.json()) == (503, {"name": "mnist", "ready": False})
        assert requests.get(f"{gateway.url}/v1/models", timeout=TIMEOUT).json() == {"models": ["mnist"]}
