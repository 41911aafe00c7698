"""The check of a running service, against small servers that answer well, wrongly, or not at all."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from classifier import runtime
from mnist_torchserve.client import digits, weights
from mnist_torchserve.project import MODEL_STORE

Answer = Callable[[NDArray[np.float32]], tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def model() -> runtime.Runtime:
    return runtime.load(MODEL_STORE, gpu_id=None)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.float32]:
    return digits.sample()[0][:20].astype(np.float32) / np.float32(255)


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    class AnsweringHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = answer(np.array(request["data"], np.float32))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), AnsweringHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/predictions/mnist"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answering(model: runtime.Runtime, *, off_by: float = 0, shift: int = 0) -> Answer:
    def answer(image: NDArray[np.float32]) -> tuple[int, dict[str, Any]]:
        row = model.probabilities(image[None])[0]
        prediction = (int(row.argmax()) + shift) % 10
        return 200, {"prediction": prediction, "confidence": round(float(row.max()), 4) + off_by}

    return answer


def test_same_answers_rounded_to_four_places_are_no_difference(
    model: runtime.Runtime, pixels: NDArray[np.float32]
) -> None:
    with served(answering(model)) as url:
        assert weights.differences(url, model, pixels, 1e-4) == []


@pytest.mark.parametrize("fault", [{"off_by": -0.001}, {"shift": 1}], ids=["confidence", "prediction"])
def test_other_answers_are_named(model: runtime.Runtime, pixels: NDArray[np.float32], fault: dict[str, Any]) -> None:
    with served(answering(model, **fault)) as url:
        differences = weights.differences(url, model, pixels, 1e-4)
    assert len(differences) == 20
    assert differences[3].startswith("Digit 3: expected 0 at ")


def test_refusal_is_told_with_the_services_own_words(model: runtime.Runtime, pixels: NDArray[np.float32]) -> None:
    with (
        served(lambda _: (503, {"message": "no worker to serve"})) as url,
        pytest.raises(weights.ComparisonError, match=r"answered 503: .*no worker to serve"),
    ):
        weights.differences(url, model, pixels, 1e-4)


def test_service_that_is_not_there_is_told_in_one_sentence(model: runtime.Runtime, pixels: NDArray[np.float32]) -> None:
    with served(answering(model)) as url:
        pass
    with pytest.raises(weights.ComparisonError, match=r"does not answer .* scripts/serve"):
        weights.differences(url, model, pixels, 1e-4)
