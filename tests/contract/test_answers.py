"""What counts as a prediction, and when two agree."""

import json

import pytest
from mnist_torchserve.contract import Answer


@pytest.mark.parametrize(
    "document",
    [
        {"prediction": 10, "confidence": 0.9},
        {"prediction": -1, "confidence": 0.9},
        {"prediction": 7, "confidence": 1.1},
        {"prediction": 7, "confidence": -0.1},
        {"prediction": 7, "confidence": 1},
        {"prediction": "7", "confidence": 0.9},
        {"prediction": True, "confidence": 0.9},
        {"prediction": 7.0, "confidence": 0.9},
        {"prediction": 7},
        [7, 0.9],
        None,
    ],
)
def test_wrong_answers_are_seen(document: object) -> None:
    assert Answer.parse(json.dumps(document).encode()) is None
    assert Answer.parse(b"seven") is None


def test_right_answer_is_read_and_compared() -> None:
    answer = Answer.parse(b'{"prediction": 7, "confidence": 0.900000}')
    assert answer == Answer(7, 0.9)
    assert answer is not None
    assert answer.agrees(Answer(7, 0.90009))
    assert not answer.agrees(Answer(7, 0.9002))
    assert not answer.agrees(Answer(3, 0.9)), "another digit, however like its confidence is"


def test_another_models_answer_is_read_with_its_number_of_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"prediction": 36, "confidence": 0.9}'
    assert Answer.parse(body) is None, "MNIST's has ten"
    assert Answer.parse(body, 37) == Answer(36, 0.9)
    assert Answer.parse(body, 36) is None
    monkeypatch.setenv("API_MODEL", "awesome")
    assert Answer.parse(body) == Answer(36, 0.9)
