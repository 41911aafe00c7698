"""The committed weights, as a worker loads and asks them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from classifier import runtime
from classifier.runtime import Runtime, WeightsError
from classifier.types import PIXELS, Pixels
from mnist_torchserve.contract import CLASSES
from mnist_torchserve.project import MODEL_STORE
from tests.support import oracle
from tests.support.fixtures import Sample


@pytest.fixture
def pixels(sample: Sample) -> Pixels:
    return sample[0]


def test_onnx_runtime_answers_as_torch_does(model: Runtime, pixels: Pixels) -> None:
    answers = model.probabilities(pixels)
    assert answers.dtype == np.float32
    assert answers.shape == (500, CLASSES)
    np.testing.assert_allclose(answers, oracle.probabilities(pixels), rtol=0, atol=1e-5)


def test_torch_runtime_answers_as_torch_does(pixels: Pixels) -> None:
    on_cpu = runtime.TorchRuntime(MODEL_STORE / "mnist.pt", "cpu")
    assert on_cpu.name == "torch-cpu"
    np.testing.assert_allclose(on_cpu.probabilities(pixels), oracle.probabilities(pixels), rtol=0, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
def test_gpu_answers_as_torch_does(pixels: Pixels) -> None:
    on_gpu = runtime.load(MODEL_STORE, gpu_id=0)
    assert on_gpu.name == "torch-cuda:0"
    np.testing.assert_allclose(on_gpu.probabilities(pixels), oracle.probabilities(pixels), rtol=0, atol=1e-4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_worker_with_a_gpu_id_but_no_gpu_runs_on_the_cpu() -> None:
    assert runtime.load(MODEL_STORE, gpu_id=0).name == "onnxruntime-cpu"


def test_nothing_is_kept_about_the_machine_that_predicts(tmp_path: Path) -> None:
    code = "import sys, pathlib, classifier.runtime as r; r.load(pathlib.Path(sys.argv[1]), None)"
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    subprocess.run([sys.executable, "-c", code, MODEL_STORE], env=usual | {"HOME": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == [], "where onnxruntime reports to its maker, it keeps an ID here"


def test_both_files_tell_the_same_story(model: Runtime) -> None:
    assert model.metadata == runtime.TorchRuntime(MODEL_STORE / "mnist.pt", "cpu").metadata


def test_answer_does_not_depend_on_the_batch(model: Runtime, pixels: Pixels) -> None:
    alone = np.concatenate([model.probabilities(image[None]) for image in pixels[:40]])
    for size in (2, 7, 16, 40):
        together = model.probabilities(pixels[:size])
        np.testing.assert_allclose(together, alone[:size], rtol=0, atol=1e-6)


@pytest.mark.parametrize("gpu", [False, True], ids=["onnx", "torch"])
@pytest.mark.parametrize("content", [None, b"", b"not weights at all"], ids=["missing", "empty", "damaged"])
def test_unusable_weights_are_refused_in_one_sentence(tmp_path: Path, content: bytes | None, gpu: bool) -> None:
    path = tmp_path / ("mnist.pt" if gpu else "mnist.onnx")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError) as refusal:
        _ = runtime.TorchRuntime(path, "cpu") if gpu else runtime.OnnxRuntime(path)
    message = str(refusal.value)
    assert message.startswith(str(path))
    assert "scripts/train" in message
    assert "scripts/archive" in message
    assert "\n" not in message


def test_another_network_in_mnist_pt_is_refused(tmp_path: Path) -> None:
    other = torch.nn.Linear(PIXELS, CLASSES)
    torch.save({"state_dict": other.state_dict(), "metadata": {}}, tmp_path / "mnist.pt")
    with pytest.raises(WeightsError, match=r"mnist\.pt does not hold the weights of its network"):
        runtime.TorchRuntime(tmp_path / "mnist.pt", "cpu")


def test_package_that_a_networks_code_imports_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_code.py").write_text("import nowhere_to_be_found\n")
    monkeypatch.syspath_prepend(tmp_path)
    imported = {"module": "my_code", "class": "Net", "arguments": {}, "interface": {}}
    torch.save({"state_dict": {}, "metadata": {"imported": imported}}, tmp_path / "mine.pt")
    with pytest.raises(WeightsError, match=r"mine\.pt needs the package `nowhere_to_be_found`.*PACKAGES=…`\.$"):
        runtime.TorchRuntime(tmp_path / "mine.pt", "cpu")


def test_network_that_does_not_run_on_a_device_is_named(tmp_path: Path) -> None:
    """A stand-in for a GPU: no values come back from the device `meta`."""
    with pytest.raises(WeightsError, match=r"mnist\.pt does not run on meta: .*`deviceType: cpu` in its model-config"):
        runtime.TorchRuntime(MODEL_STORE / "mnist.pt", "meta")
    assert not torch.backends.cudnn.allow_tf32, "which fails to be read where its parts differ"


def test_pickled_code_in_mnist_pt_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "metadata": Path("/")}, tmp_path / "mnist.pt")
    with pytest.raises(WeightsError, match=r"mnist\.pt does not hold"):
        runtime.TorchRuntime(tmp_path / "mnist.pt", "cpu")


def test_another_network_in_mnist_onnx_is_refused(tmp_path: Path) -> None:
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Softmax", ["pixels"], ["probabilities"])],
        "other",
        [tensor("pixels", onnx.TensorProto.FLOAT, ["batch", 100])],
        [tensor("probabilities", onnx.TensorProto.FLOAT, ["batch", 100])],
    )
    other = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.helper.set_model_props(other, {"metadata": "{}"})
    onnx.save_model(other, tmp_path / "mnist.onnx")
    with pytest.raises(WeightsError, match=r"expected pixels \(B, 784\) and probabilities \(B, K\), got .*100"):
        runtime.OnnxRuntime(tmp_path / "mnist.onnx")
