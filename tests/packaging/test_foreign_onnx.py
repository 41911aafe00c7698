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
from tests.packaging.linear import Pack
from tests.support.fixtures import Sample
from tests.support.idx_files import write_shapes

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


def itself(pixels: Pixels, temperature: float = 1) -> Any:
    logits = pixels.astype(np.float64) @ WEIGHTS / temperature
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Pack a file, and return what was said."""

    def pack(file: Path, **said: Any) -> str:
        heard: list[str] = []
        package(Brought(name="net", network=file, **said), tmp_path / "packed" / "archive", heard.append)
        return "\n".join(heard)

    return pack


@pytest.mark.parametrize("shape", [(PIXELS,), (28, 28), (1, 28, 28)])
@pytest.mark.parametrize("softmax", [False, True], ids=["logits", "probabilities"])
def test_file_is_adapted(tmp_path: Path, pack: Pack, sample: Sample, shape: tuple[int, ...], softmax: bool) -> None:
    file = write(tmp_path / "theirs.onnx", shape=shape, softmax=softmax)
    said = pack(file, mean=0.2, std=0.5, inverted=True)
    assert f"gives {'probabilities' if softmax else 'logits'} of 7 classes" in said
    found = runtime.load(tmp_path / "packed" / "archive", None)
    expected = itself((1 - sample[0][:20] - 0.2) / 0.5)
    np.testing.assert_allclose(found.probabilities(sample[0][:20]), expected, atol=1e-5)
    assert found.metadata["calibration"] is None
    card = (tmp_path / "packed" / "model_card.md").read_text()
    assert f"The network theirs.onnx takes (B, {', '.join(map(str, shape))})" in card, "as its name is written"


@pytest.mark.parametrize("softmax", [False, True], ids=["logits", "probabilities"])
def test_file_is_calibrated(tmp_path: Path, pack: Pack, sample: Sample, softmax: bool) -> None:
    pack(write(tmp_path / "theirs.onnx", softmax=softmax), std=0.2, validation=write_shapes(tmp_path / "idx"))
    found = runtime.load(tmp_path / "packed" / "archive", None)
    temperature = found.metadata["calibration"]["temperature"]
    assert abs(temperature - 1) > 0.1
    expected = itself(sample[0][:20] / 0.2, temperature)
    np.testing.assert_allclose(found.probabilities(sample[0][:20]), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said", "words"),
    [
        (
            {"batch": 1},
            {},
            r"exactly 1 images at a time.*`dynamic_axes=\{\"pixels\": \{0: \"batch\"\}\}`.*`dynamic_shapes=",
        ),
        ({"shape": (PIXELS, 1)}, {}, r"Expected one input of float32 images"),
        ({"opset": 9}, {}, "opset 9: export it with 11 or later"),
        ({}, {"shape": (784,)}, r"theirs\.onnx takes \(B, 1, 28, 28\), but --input-shape says 784"),
    ],
)
def test_file_that_cannot_be_used(
    tmp_path: Path, pack: Pack, change: dict[str, Any], said: dict[str, Any], words: str
) -> None:
    file = write(tmp_path / "theirs.onnx", **change)
    with pytest.raises(PackagingError, match=words):
        pack(file, **said)
    assert not (tmp_path / "packed").exists(), "nothing is left behind"


@pytest.mark.parametrize(
    ("name", "words"), [("theirs.onnx", "cannot be used as an ONNX file"), ("none.onnx", "There is no file")]
)
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, pack: Pack, name: str, words: str) -> None:
    (tmp_path / "theirs.onnx").write_bytes(b"no ONNX")
    with pytest.raises(PackagingError, match=words):
        pack(tmp_path / name)
