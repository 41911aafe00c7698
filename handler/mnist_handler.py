"""TorchServe's hooks: a batch of requests in, a batch of responses out. `classifier/` does the work.

requests ── batch.read ──> pixels (N, 784) ── runtime ──> probabilities (N, K) ── Batch.responses ──> responses
"""

import faulthandler
import logging
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import classifier
from classifier import batch, cache, compression, image_files, model, runtime, telemetry, transport
from classifier.types import MAX_BODY, MAX_LARGE_BODY, PIXELS, SIDE, Refusal, Request, Response

# TorchServe expects exactly one class here, so all others are in their own modules.


_WITHDRAWN = "withdrawn"


class MnistHandler:
    """A classifier of 28×28 images as a TorchServe handler, with one instance in each worker process."""

    def initialize(self, context: Any) -> None:
        """Load the model and run it once, so that everything is warm for the first request.

        Raises:
            RuntimeError: a file of the archive is missing, broken or wrong, or other code hides the archive's.
                TorchServe logs the error and retries.
        """
        _require_own_code()
        properties = context.system_properties
        self._folder = Path(properties["model_dir"])
        self._runtime = runtime.load(self._folder, properties["gpu_id"])
        self._runtime.probabilities(np.zeros((properties["batch_size"], PIXELS), np.float32))
        version = context.manifest["model"]["modelVersion"]
        config, remarks = context.model_yaml_config, self._runtime.metadata.get("remarks", ())
        contents = model.read(self._folder, context.model_name, version, config, self._runtime.classes, remarks)
        self._model, settings, self._golden = contents
        self._golden_request = Request(self._golden.body(), "application/json")
        self._make_golden_prediction()
        self._description = self._describe(context)
        self._timeout = context.model_yaml_config["responseTimeout"]  # s
        # TorchServe logs each batch at INFO, through a pipe and the JVM, and nobody reads it.
        logging.getLogger().setLevel(logging.WARNING)
        self._cache = cache.ResponseCache(self._compute, settings.cache_size) if settings.cache_size else None
        self._reporter = None
        if settings.metrics_period:
            self._reporter = telemetry.Reporter(self._model, self._runtime.classes, self._cache)
            self._reporter.start(settings.metrics_period)
        transport.install()

    def handle(self, data: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """Respond to a batch.

        Args:
            data: B requests. `body` holds a request's bytes, and is absent if the client sent a form. gRPC clients
                choose the name: `data`, as TorchServe's own client does, or `body`.
            context: TorchServe's context of the batch, which takes the status of each response.

        Returns:
            B JSON documents: `{"prediction", "confidence"}`, or `{"code", "type", "message"}`, or a document that
            joins these for a request with several images.
        """
        # A client's own `describe` and `explain` headers are ignored, so that no request can change what the others in
        # its batch get.
        if len(data) == 1 and not data[0] and _is_from_management(context):
            responses = [Response(HTTPStatus.OK, self._describe_if_healthy())]
        else:
            taken = [_take(fields, context, index) for index, fields in enumerate(data)]
            computed = iter(self._respond([each for each in taken if isinstance(each, Request)]))
            responses = [each if isinstance(each, Response) else next(computed) for each in taken]
        for index, (status, _) in enumerate(responses):
            context.set_response_content_type(index, "application/json")
            if status != HTTPStatus.OK:
                context.set_response_status(int(status), status.phrase, index)
        return [body for _, body in responses]

    def _respond(self, requests: Sequence[Request]) -> list[Response]:
        """Respond to each request. If the batch fails as a whole, try each alone, so that only the faulty one fails."""
        try:
            return self._cache(requests) if self._cache else self._compute(requests)
        except Exception as error:
            if len(requests) == 1:
                return [batch.failure(error)]
            return [response for request in requests for response in self._respond([request])]

    def _compute(self, requests: Sequence[Request]) -> list[Response]:
        began = time.perf_counter()
        read = batch.read(requests, self._model)
        decoded = time.perf_counter()
        probabilities = self._runtime.probabilities(read.pixels)
        inferred = time.perf_counter()
        read.refuse_unanswered(probabilities)
        if self._reporter:
            times = decoded - began, inferred - decoded
            self._reporter.observe(telemetry.BatchRecord(probabilities, read.refusals, *times))
        return read.responses(probabilities)

    def _describe_if_healthy(self) -> bytes:
        """Return the description, which shows that the model works. TorchServe turns the error into a 503.

        Raises:
            RuntimeError: the golden prediction is wrong, or a file next to the model says that this node is about to
                end.
        """
        if (self._folder / _WITHDRAWN).exists():
            raise RuntimeError("This node is about to end: it answers what it gets, and wants no more.")
        # TorchServe waits forever for a description, so a worker that hangs must end itself to be replaced.
        faulthandler.dump_traceback_later(self._timeout, exit=True)
        try:
            self._make_golden_prediction()
        finally:
            faulthandler.cancel_dump_traceback_later()
        return self._description

    def _make_golden_prediction(self) -> None:
        """Read the golden example like a client's request, but do not count it.

        Raises:
            RuntimeError: the prediction is not the one that the archive expects.
        """
        pixels = batch.read([self._golden_request], self._model).pixels
        self._golden.check(self._runtime.probabilities(pixels))

    def _describe(self, context: Any) -> bytes:
        is_digits = self._model.pictures == "mnist"
        kind = "digit" if is_digits else "class"
        picture = "a digit in any place and size" if is_digits else f"scaled as a whole to {SIDE}×{SIDE}"
        remark = "".join(f"; {sentence}" for sentence in self._model.remarks)
        labels = {"labels": list(self._model.labels)} if self._model.labels else {}
        description = {
            "name": context.model_name,
            "version": context.manifest["model"]["modelVersion"],
            "classes": list(range(self._runtime.classes)),
            **labels,
            "runtime": self._runtime.name,
            "input": {
                "application/json": {
                    "data": f"{PIXELS} numbers from 0 (black) to 1 (white), a {SIDE}×{SIDE} image row by row"
                },
                "application/octet-stream": [
                    f"{PIXELS} bytes: uint8, 0 to 255",
                    f"{PIXELS * 4} bytes: little-endian float32, 0 to 1",
                ],
                "image/png": f"one picture of at most {image_files.MAX_PIXELS:,} pixels, {picture}",
                "image/jpeg": "likewise",
                "image/webp": "likewise",
            },
            "output": {
                "prediction": f"0 to {self._runtime.classes - 1}",
                **({"label": "the name of that class"} if labels else {}),
                "confidence": f"probability of that {kind}, 0 to 1{remark}",
            },
            "model": self._runtime.metadata,
        }
        return msgspec.json.encode(description)


def _require_own_code() -> None:
    """Refuse to serve with code from elsewhere: an installed copy would outlive a new archive.

    Raises:
        RuntimeError: `classifier` is not next to this file.
    """
    found = Path(classifier.__file__).resolve().parent
    if found.parent != Path(__file__).resolve().parent:
        raise RuntimeError(
            f"The archive's own `classifier` is hidden by {found}: take that folder off PYTHONPATH and start again."
        )


def _is_from_management(context: Any) -> bool:
    """Whether an empty batch asks for the description. Requests to the inference API have the header `explain` too."""
    return context.get_request_header(0, "describe") == "True" and context.get_request_header(0, "explain") is None


def _take(fields: Mapping[str, Any], context: Any, index: int) -> Request | Response:
    """Return a request that TorchServe passed on, or the response to it if that fails."""
    try:
        return _request(fields, context, index)
    except Refusal as refusal:
        return Response(refusal.status, refusal.encode())
    except Exception as error:
        return batch.failure(error)


def _request(fields: Mapping[str, Any], context: Any, index: int) -> Request:
    """Return a request's body, and the media type that TorchServe notes for it. gRPC has none."""
    note = context.get_request_header(index, "body")
    media_type = note["content-type"] if isinstance(note, dict) else None
    details = fields.get("details") in (b"true", "true")  # of the query; the body, which comes behind, hides one there
    if media_type:
        return Request(_decompressed(fields["body"], context, index), str(media_type), details)
    # TorchServe gives every request of REST the header `explain`.
    if context.get_request_header(index, "explain") is None:
        # Without this header TorchServe breaks off a StreamPredictions and ends the worker.
        context.set_response_header(index, "ts_stream_next", "false")
        if body := fields.get("body") or fields.get("data"):
            return Request(body, "")
    if media_type is not None:
        return Request(_decompressed(fields["body"], context, index), "", details)
    if not fields:  # an empty form
        return Request(b"", "")
    # A form has no body. A client's header named `body` hides the note, and affects only that client.
    return Request(b"", "a form" if note is None else "a request with a header named body")


def _decompressed(body: bytes, context: Any, index: int) -> bytes:
    """Decompress a body if its headers name a compression."""
    if not body.startswith(compression.MARKS):
        return body
    headers = {name.lower(): value for name, value in context.get_all_request_header(index).items() if value}
    # The gateway marks requests on the route of one image. Several images have a route of their own, which bounds work.
    most = MAX_BODY if "x-one-image" in headers else MAX_LARGE_BODY
    encoding = str(headers.get("content-encoding", "identity"))
    return body if encoding == "identity" else compression.decompress(body, encoding, most)
