"""A prediction as a client reads it."""

import json
from typing import NamedTuple, Self

from .model import reads_digits
from .sample import CLASSES

MAX_CLASSES = 100  # of a model
TOLERANCE = 1e-4  # of a confidence, between two batch sizes, two runtimes and two processors


class Answer(NamedTuple):
    """A right answer's content."""

    prediction: int
    confidence: float

    @classmethod
    def parse(cls, body: bytes, classes: int | None = None) -> Self | None:
        """Read an answer's body; None if it is not a class with a confidence.

        Args:
            body: the answer.
            classes: how many the model has at most; None for as many as the model has that API_MODEL names.
        """
        if classes is None:
            classes = CLASSES if reads_digits() else MAX_CLASSES
        try:
            document = json.loads(body)
            prediction, confidence = document["prediction"], document["confidence"]
        except (ValueError, LookupError, TypeError):
            return None
        is_class = type(prediction) is int and prediction in range(classes)
        is_answer = is_class and type(confidence) is float and 0 <= confidence <= 1
        return cls(prediction, confidence) if is_answer else None

    def agrees(self, other: "Answer", tolerance: float = TOLERANCE) -> bool:
        """Whether both name the same digit, with confidences that differ by no more than the tolerance."""
        return self.prediction == other.prediction and abs(self.confidence - other.confidence) <= tolerance
