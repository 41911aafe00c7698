"""ONNX files that were made elsewhere: adapted, compared, or refused."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from classifier import runtime
from classifier.types import PIXELS, Pixels
from mnist_torchserve.packaging.errors import PackagingError
from mnist_torchserve.packaging.package import Brought, package
from tests.support.fixtures import Sample

WEIGHTS = np.random.default_rng(3).normal(0, 0.05, (PIXELS, 7)).astype(np.float32)


def write(
    path: Path, batch: Any = "n", shape: tuple[int, ...] = (1, 28, 28), softmax: bool = False, opset: int = 17
) -> Path:
    """A linear classifier; its tensors have names that are ours as well."""
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["adapter/0"]),
        helper.make_node("MatMul", ["adapter/0", "w"], ["logits" if softmax else "probabilities"]),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
    graph = helper.make_graph(
        nodes,
        "theirs",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [batch, 7])],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save_model(model, path)
    return path


def itself(pixels: Pixels) -> Any:
    logits = pixels.astype(np.float64) @ WEIGHTS
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("shape", [(PIXELS,), (28, 28), (1, 28, 28)])
@pytest.mark.parametrize("softmax", [False, True], ids=["logits", "probabilities"])
def test_file_is_adapted(tmp_path: Path, sample: Sample, shape: tuple[int, ...], softmax: bool) -> None:
    said: list[str] = []
    file = write(tmp_path / "theirs.onnx", shape=shape, softmax=softmax)
    package(
        Brought(name="net", network=file, mean=0.2, std=0.5, inverted=True), tmp_path / "x" / "archive", said.append
    )
    assert f"gives {'probabilities' if softmax else 'logits'} of 7 classes" in said[0]
    found = runtime.load(tmp_path / "x" / "archive", None)
    expected = itself((1 - sample[0][:20] - 0.2) / 0.5)
    np.testing.assert_allclose(found.probabilities(sample[0][:20]), expected, atol=1e-5)
    assert found.metadata["calibration"] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"batch": 1},
            r"exactly 1 images at a time.*`dynamic_axes=\{\"pixels\": \{0: \"batch\"\}\}`.*`dynamic_shapes=",
        ),
        ({"shape": (PIXELS, 1)}, r"Expected one input of float32 images"),
        ({"opset": 9}, "opset 9: export it with 11 or later"),
    ],
)
def test_file_that_cannot_be_used(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    file = write(tmp_path / "theirs.onnx", **change)
    with pytest.raises(PackagingError, match=words):
        package(Brought(name="net", network=file), tmp_path / "x" / "archive", lambda _: None)
    assert not (tmp_path / "x").exists(), "nothing is left behind"


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs.onnx").write_bytes(b"no ONNX")
    for name, words in (("theirs.onnx", "cannot be used as an ONNX file"), ("none.onnx", "There is no file")):
        with pytest.raises(PackagingError, match=words):
            package(Brought(name="net", network=tmp_path / name), tmp_path / "x" / "archive", lambda _: None)


def test_shape_that_the_file_does_not_take_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "theirs.onnx")
    with pytest.raises(PackagingError, match=r"theirs\.onnx takes \(B, 1, 28, 28\), but --input-shape says 784"):
        package(Brought(name="net", network=file, shape=(784,)), tmp_path / "x" / "archive", lambda _: None)


def test_card_names_the_file_as_it_is_written(tmp_path: Path) -> None:
    file = write(tmp_path / "theirs.onnx")
    package(Brought(name="net", network=file), tmp_path / "x" / "archive", lambda _: None)
    assert "The network theirs.onnx takes (B, 1, 28, 28)" in (tmp_path / "x" / "model_card.md").read_text()
