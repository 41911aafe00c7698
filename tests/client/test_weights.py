"""The check of a running service, against small servers that answer well, wrongly, or not at all."""

import json
from typing import Any

import numpy as np
import pytest
from classifier.runtime import Runtime
from classifier.types import Pixels, Probabilities
from mnist_torchserve.client import weights
from mnist_torchserve.contract import CLASSES
from tests.support import stub
from tests.support.fixtures import Sample
from tests.support.stub import Answering


@pytest.fixture
def pixels(sample: Sample) -> Pixels:
    return sample[0][:20]


def answering(model: Runtime, *, off_by: float = 0, shift: int = 0) -> Answering:
    def answer(_: str, body: bytes) -> tuple[int, dict[str, Any]]:
        [row] = model.probabilities(np.array([json.loads(body)["data"]], np.float32))
        prediction = (int(row.argmax()) + shift) % CLASSES
        return 200, {"prediction": prediction, "confidence": round(float(row.max()), 4) + off_by}

    return answer


def test_same_answers_rounded_to_four_places_are_no_difference(model: Runtime, pixels: Pixels) -> None:
    with stub.running(answering(model)) as service:
        assert weights.differences(service.url, model, pixels, 1e-4) == []


@pytest.mark.parametrize("fault", [{"off_by": -0.001}, {"shift": 1}], ids=["confidence", "prediction"])
def test_other_answers_are_named(model: Runtime, pixels: Pixels, fault: dict[str, Any]) -> None:
    with stub.running(answering(model, **fault)) as service:
        differences = weights.differences(service.url, model, pixels, 1e-4)
    assert len(differences) == 20
    assert differences[3].startswith("Digit 3: expected 0 at ")


def test_refusal_is_told_with_the_services_own_words(model: Runtime, pixels: Pixels) -> None:
    with (
        stub.running(lambda *_: (503, {"message": "no worker to serve"})) as service,
        pytest.raises(weights.ComparisonError, match=r"answered 503: .*no worker to serve"),
    ):
        weights.differences(service.url, model, pixels, 1e-4)


def test_service_that_is_not_there_is_told_in_one_sentence(model: Runtime, pixels: Pixels) -> None:
    with stub.running(answering(model)) as service:
        pass
    with pytest.raises(weights.ComparisonError, match=r"does not answer .* scripts/serve"):
        weights.differences(service.url, model, pixels, 1e-4)


def test_weights_of_more_classes_are_compared_like_mnists(pixels: Pixels) -> None:
    class Letters:
        def __init__(self) -> None:
            self.name, self.classes, self.metadata = "letters", 37, dict[str, Any]()

        def probabilities(self, pixels: Pixels) -> Probabilities:
            return np.eye(37, dtype=np.float32)[[36] * len(pixels)] * np.float32(0.9)

    with stub.running(lambda *_: (200, {"prediction": 36, "confidence": 0.9})) as service:
        assert weights.differences(service.url, Letters(), pixels, 1e-4) == []
    with stub.running(lambda *_: (200, {"prediction": 35, "confidence": 0.9})) as service:
        assert len(weights.differences(service.url, Letters(), pixels, 1e-4)) == len(pixels)
