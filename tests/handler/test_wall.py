"""The wall around each request: whatever is raised on its way ends in its own answer, whichever function raises it."""

import gzip
import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest
from classifier import batch, payload, protocols, runtime, telemetry
from classifier.types import Pixels, Probabilities
from mnist_torchserve.contract import PIXELS, blank
from tests.support.worker import Answer, Worker, form, request

GOOD = request(json.dumps(blank(0.5)).encode())
SEVERAL = {"instances": [[0.5] * PIXELS, [[0.5] * 28] * 28, [7], "seven", {"data": [9] * PIXELS}]}
TENSOR = {"shape": [1, PIXELS], "datatype": "UINT8", "data": [[0] * PIXELS]}
BINARY = {"shape": [1, PIXELS], "datatype": "UINT8", "parameters": {"binary_data_size": PIXELS}}
ODD = {
    "V1": request(json.dumps(SEVERAL).encode()),
    "V2": request(json.dumps({"inputs": [TENSOR], "outputs": [{"name": "error"}]}).encode()),
    "V2, binary": request(json.dumps({"inputs": [BINARY]}).encode() + bytes(PIXELS), "application/octet-stream"),
    "V2, refused": request(json.dumps({"inputs": [{**TENSOR, "datatype": "x"}]}).encode()),
    "out of range": request(json.dumps({"data": [9.0] * PIXELS, "id": 1}).encode()),
    "bytes": request(bytes(PIXELS), "application/octet-stream"),
    "half a document": request(b'{"data": [NaN'),
    "picture": request(b"\x89PNG\r\n\x1a\n", "image/png"),
    "text": request(b"", "text/plain"),
    "form": form(data=b"1"),
    "nothing": request(None),
    "gzip": request(gzip.compress(json.dumps(blank()).encode()), **{"content-encoding": "gzip"}),
    "no gzip": request(b"\x1f\x8b", **{"content-encoding": "gzip"}),
    "large": request(json.dumps({"instances": [[0.123456789] * PIXELS] * 9}).encode()),
}
OURS = ("/handler/mnist_handler.py", "/handler/classifier/")
# The wall itself, and what makes a refusal: these must hold.
WALL = {"handle", "_take", "_respond", "failure", "_internal", "encode", "__init__", "status", "quote"}
WALL |= {"<genexpr>"}  # one that is closed early is entered once more, where nothing can be raised


class OddError(Exception):
    """What nobody expects; its text is a secret."""


class Trap:
    """Raises from the nth call of a function of ours."""

    def __init__(self, number: int) -> None:
        self.calls: list[str] = []
        self._number = number

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        is_ours = any(part in code.co_filename for part in OURS)
        if event == "call" and is_ours and not WALL.intersection(code.co_qualname.split(".")):
            self.calls.append(f"{code.co_filename.rpartition('/')[2]} {code.co_qualname}")
            if len(self.calls) == self._number:
                raise OddError("a client's secret")

    def run(self, worker: Worker, requests: list[dict[str, Any]]) -> list[Answer]:
        before = sys.gettrace()
        sys.settrace(self)
        try:
            return worker.predict(*requests)
        finally:
            sys.settrace(before)


@pytest.mark.parametrize("name", ODD)
def test_each_function_on_the_way_may_raise(worker: Worker, name: str, caplog: pytest.LogCaptureFixture) -> None:
    requests = [GOOD] * 8 + [ODD[name]] + [GOOD] * 7
    expected = worker.predict(*requests)
    counted = Trap(0)
    assert counted.run(worker, requests) == expected
    assert len(set(counted.calls)) > 5
    for number in range(1, len(counted.calls) + 1):
        trap = Trap(number)
        answers = trap.run(worker, requests)
        others = [place for place, (answer, right) in enumerate(zip(answers, expected, strict=True)) if answer != right]
        assert len(others) <= 1, f"{trap.calls[-1]} harmed {len(others)} requests"
        for place in others:
            assert answers[place][0] == 500
            assert answers[place][2]["code"] == 500
    assert "OddError at " in caplog.text
    assert "secret" not in caplog.text


def failing(function: Callable[..., Any], is_guilty: Callable[..., bool]) -> Callable[..., Any]:
    """A function that fails each time that it meets the guilty one."""

    def fail(*arguments: Any) -> Any:
        if is_guilty(*arguments):
            raise OddError("a client's secret")
        return function(*arguments)

    return fail


GUILTY = request(json.dumps(blank(0.25)).encode())
GUILTY_SEVERAL = request(json.dumps({"instances": [blank(0.25)]}).encode())


@pytest.mark.parametrize(
    ("place", "name", "is_guilty", "guilty"),
    [
        (batch, "_read", lambda request, *_: b"0.25" in request.body, GUILTY),
        (payload, "read_plain", lambda body, _: b"0.25" in body, GUILTY),
        (payload, "refuse_out_of_range", lambda pixels, _: bool((pixels == 0.25).any()), GUILTY),
        (runtime.OnnxRuntime, "probabilities", lambda _, pixels: bool((pixels == 0.25).any()), GUILTY),
        (protocols.Images, "respond", lambda *_: True, GUILTY_SEVERAL),
        (telemetry.Reporter, "observe", lambda _, record: len(record.probabilities) != 1, GOOD),
    ],
    ids=["reading", "decoding", "the range", "inference", "joining", "metrics"],
)
def test_guilty_one_is_found_however_often_it_fails(
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    place: Any,
    name: str,
    is_guilty: Callable[..., bool],
    guilty: dict[str, Any],
) -> None:
    [right] = worker.predict(GOOD)
    monkeypatch.setattr(place, name, failing(getattr(place, name), is_guilty))
    answers = worker.predict(*[GOOD] * 8, guilty, *[GOOD] * 7)
    assert answers[:8] + answers[9:] == [right] * 15
    assert answers[8][0] == (500 if guilty is not GOOD else 200)
    assert np.isclose(answers[0][2]["confidence"], right[2]["confidence"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.4, 1.5])
def test_image_without_probabilities_is_refused_alone(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    """A user's network that divides by an image's contrast gives NaN for a black one."""
    ask, observed = runtime.OnnxRuntime.probabilities, []

    def divided(each: runtime.OnnxRuntime, pixels: Pixels) -> Probabilities:
        return np.where(pixels.any(axis=1, keepdims=True), ask(each, pixels), np.float32(value))

    monkeypatch.setattr(runtime.OnnxRuntime, "probabilities", divided)
    monkeypatch.setattr(telemetry.Reporter, "observe", lambda _, record: observed.append(record.refusals))
    black = blank(0.0)["data"]
    tensor = {"shape": [2, PIXELS], "datatype": "FP32", "data": [black, [0.5] * PIXELS]}
    bodies: list[dict[str, Any]] = [{"data": black}, {"instances": [black, [0.5] * PIXELS]}, {"inputs": [tensor]}]
    alone, v1, v2, good = worker.predict(*(request(json.dumps(body).encode()) for body in bodies), GOOD)
    assert (alone[0], v1[0], v2[0], good[0]) == (422, 200, 200, 200)
    assert alone[2]["message"].startswith("The model's network gives no probabilities from 0 to 1 for this image")
    assert v1[2]["predictions"] == [alone[2], good[2]]
    outputs = {output["name"]: output["data"] for output in v2[2]["outputs"]}
    assert outputs["prediction"] == [-1, good[2]["prediction"]]
    assert outputs["error"] == [alone[2]["message"], ""]
    assert [{refusal.reason for refusal in refusals.values()} for refusals in observed] == [{"image"}]
