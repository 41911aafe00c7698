"""The client behind scripts/predict: what it finds out about a service that runs anywhere."""

from typing import Any

import pytest
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
