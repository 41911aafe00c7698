"""The Open Inference Protocol (KServe's V2): a tensor of images -> tensors of answers.

    {"id": "a", "inputs": [{"name": "pixels", "shape": [2, 784], "datatype": "FP32", "data": [0.0, …]}]}

    {"model_name": "mnist", "model_version": "1.0", "id": "a", "outputs": [
        {"name": "prediction", "datatype": "INT64", "shape": [2], "data": [7, -1]},
        {"name": "confidence", "datatype": "FP32", "shape": [2], "data": [0.9999, 0.0]},
        {"name": "error", "datatype": "BYTES", "shape": [2], "data": ["", "Expected a number from 0 to 1, got 7 …"]}]}

A model whose classes have names also answers with those names, in the BYTES `label`.

FP16 (only as bytes), FP32 and FP64 are from 0 to 1, integers from 0 to 255. An image with values outside this range has
the prediction -1 and the reason in `error`.
`data` may be flat or nested. Instead of it, the tensor's bytes may follow the JSON, as `parameters.binary_data_size`
says.

Does not depend on TorchServe.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from ..json_document import Document, convert
from ..payload import refuse_out_of_range
from ..types import MAX_IMAGES, PIXELS, SIDE, Model, Outcome, Refusal, quote
from . import Images

OUTPUTS = {"prediction": "INT64", "confidence": "FP32", "error": "BYTES"}
_IMAGE_SHAPES = ([PIXELS], [SIDE, SIDE], [1, SIDE, SIDE])
_DATA = "$.inputs[0].data"
_FLOATS = {f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)}
_INTEGERS = {
    f"{kind}{8 * size}": np.dtype(f"<{kind[0].lower()}{size}") for kind in ("UINT", "INT") for size in (1, 2, 4, 8)
}
_DTYPES: dict[str, np.dtype[Any]] = {**_FLOATS, **_INTEGERS}  # of binary tensors
MAX_ID = 128  # characters of a request's id, which its answer repeats


def _integers(dtype: np.dtype[Any]) -> Any:
    """Return the type of JSON integers that this type holds. msgspec's bounds have 64 bits with a sign."""
    limits = np.iinfo(dtype)
    return list[Annotated[int, msgspec.Meta(ge=int(limits.min), le=min(int(limits.max), 2**63 - 1))]]


_NUMBERS: dict[str, Any] = {  # of JSON
    **dict.fromkeys(_FLOATS, list[float]),
    **{name: _integers(dtype) for name, dtype in _INTEGERS.items()},
}


class _Parameters(msgspec.Struct):
    binary_data_size: int | None = None  # bytes after the JSON


class _Input(msgspec.Struct):
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: _Parameters | None = None


class _Output(msgspec.Struct):
    name: str


class InferenceRequest(msgspec.Struct):
    """An inference request; its `inputs` is one tensor."""

    inputs: list[_Input]
    outputs: list[_Output] | None = None
    id: str | None = None


def read(document: Document, model: Model) -> Images:
    """Read the images of a request.

    Args:
        document: the JSON, and the little-endian binary tensors that follow it.
        model: names the model in the answer.
    """
    try:
        request: InferenceRequest = convert(document.value, InferenceRequest, "$")
        _require_known(request, model)
        values = _values(request.inputs[0], document.rest)
    except Refusal as refusal:
        return Images.none(refusal)
    white = 1 if request.inputs[0].datatype in _FLOATS else 255
    with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 become infinite
        pixels = values.astype(np.float32).reshape(-1, PIXELS)
    refusals = refuse_out_of_range(pixels, lambda image: f"{_DATA}[{image}]", white)
    pixels /= white
    return Images(pixels, refusals, partial(_join, request, model))


def outputs_of(model: Model) -> dict[str, str]:
    """Return the datatypes of the tensors in the answers, by name."""
    return OUTPUTS | {"label": "BYTES"} if model.labels else OUTPUTS


def _join(request: InferenceRequest, model: Model, outcomes: Sequence[Outcome]) -> bytes:
    rows = [
        (outcome.class_id, round(outcome.confidence, 6), "")
        if not isinstance(outcome, Refusal)
        else (-1, 0.0, str(outcome))
        for outcome in outcomes
    ]
    columns: dict[str, Sequence[object]] = dict(zip(OUTPUTS, zip(*rows, strict=True), strict=True))
    if model.labels:
        columns["label"] = [model.labels[index] if index >= 0 else "" for index, *_ in rows]
    known = outputs_of(model)
    wanted = dict.fromkeys(output.name for output in request.outputs) if request.outputs else known
    outputs = [{"name": name, "datatype": known[name], "shape": [len(rows)], "data": columns[name]} for name in wanted]
    named = {"model_name": model.name, "model_version": model.version}
    return msgspec.json.encode({**named, **({"id": request.id} if request.id else {}), "outputs": outputs})


def _require_known(request: InferenceRequest, model: Model) -> None:
    """Refuse requests that cannot be answered, or would make the answer too long."""
    if len(request.inputs) != 1:
        raise Refusal("length", f"Expected 1 tensor, got {len(request.inputs)} - at `$.inputs`.")
    if request.id is not None and (len(request.id) > MAX_ID or not request.id.isprintable()):
        raise Refusal("length", f"Expected at most {MAX_ID} printable characters, got {quote(request.id)} - at `$.id`.")
    tensor = request.inputs[0]
    if tensor.datatype not in _DTYPES:
        known = ", ".join(_DTYPES)
        raise Refusal("type", f"Expected one of {known}, got {quote(tensor.datatype)} - at `$.inputs[0].datatype`.")
    if tensor.datatype == "FP16" and tensor.data is not None:
        raise Refusal(
            "type", f"Expected FP16 as bytes behind the JSON, or another datatype, got numbers - at `{_DATA}`."
        )
    for index, output in enumerate(request.outputs or ()):
        if output.name not in outputs_of(model):
            known = ", ".join(outputs_of(model))
            raise Refusal("type", f"Expected one of {known}, got {quote(output.name)} - at `$.outputs[{index}].name`.")


def _values(tensor: _Input, rest: bytes) -> NDArray[Any]:
    """Read the values of a tensor of 1 to 64 images."""
    shape = [1, *tensor.shape] if tensor.shape in _IMAGE_SHAPES else tensor.shape
    if shape[1:] not in _IMAGE_SHAPES or not 1 <= shape[0] <= MAX_IMAGES:
        expected = f"the shape [n, {PIXELS}] or [n, {SIDE}, {SIDE}] with n from 1 to {MAX_IMAGES}"
        raise Refusal("length", f"Expected {expected}, got {quote(tensor.shape)} - at `$.inputs[0].shape`.")
    count = shape[0] * PIXELS
    return _from_bytes(tensor, rest, count) if tensor.data is None else _from_json(tensor, tensor.data, rest, count)


def _from_json(tensor: _Input, data: list[Any], rest: bytes, count: int) -> NDArray[Any]:
    if rest.strip():
        raise Refusal(
            "malformed", f"Expected nothing behind the JSON, got {len(rest)} bytes. Leave out `data` or them."
        )
    while data and isinstance(data[0], list):
        data = list(chain.from_iterable(convert(data, list[list[Any]], _DATA)))
    _require_count(len(data), count)
    return np.array(convert(data, _NUMBERS[tensor.datatype], _DATA))


def _from_bytes(tensor: _Input, rest: bytes, count: int) -> NDArray[Any]:
    size = tensor.parameters.binary_data_size if tensor.parameters else None
    if size is None:
        raise Refusal("type", "Object missing required field `data` - at `$.inputs[0]`.")
    dtype = _DTYPES[tensor.datatype]
    if size != len(rest) or size % dtype.itemsize:
        expected = f"`binary_data_size`, {quote(size)}, whole {tensor.datatype} bytes behind the JSON"
        raise Refusal("length", f"Expected {expected}, got {len(rest)} - in the body.")
    _require_count(size // dtype.itemsize, count)
    return np.frombuffer(rest, dtype)


def _require_count(found: int, count: int) -> None:
    if found != count:
        raise Refusal("length", f"Expected {count} values, as `shape` says, got {found} - at `{_DATA}`.")
