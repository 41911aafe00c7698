"""The client behind scripts/predict: what it finds out about a service that runs anywhere."""

import json
from typing import Any

import numpy as np
import pytest
from classifier.types import PIXELS
from mnist_torchserve.client.inference import Client
from tests.support import stub

ANSWER = {"prediction": 1, "confidence": 0.75, "probabilities": [0.25, 0.75]}


@pytest.mark.parametrize(
    ("answer", "pictures"),
    [
        (ANSWER, "mnist"),
        (ANSWER | {"model": {"name": "mnist", "version": "1.0"}}, "mnist"),
        (ANSWER | {"model": {"name": "awesome", "version": "1.0", "pictures": "plain"}}, "plain"),
        ([], "mnist"),
        ({"code": 401, "message": "Expected a key."}, "mnist"),
    ],
)
def test_pictures_are_read_as_the_model_of_any_deployment_does(answer: Any, pictures: str) -> None:
    asked: list[str] = []

    def answering(path: str, _: bytes) -> tuple[int, Any]:
        asked.append(path)
        return 200, answer

    with stub.running(answering) as service, Client(service.url) as client:
        assert [client.pictures, client.pictures] == [pictures, pictures]
    assert asked == ["/predict?details=true"], "once"


@pytest.mark.parametrize(("prediction", "is_answer"), [(10, True), (36, True), (99, True), (100, False), (-1, False)])
def test_a_model_of_any_deployment_has_up_to_a_hundred_classes(prediction: int, is_answer: bool) -> None:
    answer = {"prediction": prediction, "confidence": 0.75}
    with stub.running(lambda *_: (200, answer)) as service, Client(service.url) as client:
        told = client.ask(np.zeros(PIXELS, np.float32))
    assert told == (answer if is_answer else {"code": 200, "message": json.dumps(answer)})


@pytest.mark.parametrize(
    ("answer", "name"),
    [(ANSWER | {"model": {"name": "awesome"}}, "awesome"), (ANSWER, None), ([], None), (ANSWER | {"model": [1]}, None)],
)
def test_a_deployment_tells_which_model_it_asks(answer: Any, name: str | None) -> None:
    with stub.running(lambda *_: (200, answer)) as service, Client(service.url) as client:
        assert client.model == name
