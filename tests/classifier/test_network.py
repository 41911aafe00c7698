"""What makes the model cheap, in facts that do not depend on the machine."""

import onnx
from mnist_torchserve.project import MODEL_STORE
from mnist_torchserve.training import evaluation


def test_network_is_small() -> None:
    size = evaluation.size()
    assert size["parameters"] <= 150_000
    assert size["macs"] <= 1_000_000


def test_weights_files_are_small_and_whole() -> None:
    for name in ("mnist.pt", "mnist.onnx"):
        assert (MODEL_STORE / name).stat().st_size < 500_000
    model = onnx.load(MODEL_STORE / "mnist.onnx", load_external_data=False)
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_graph_holds_nothing_that_training_needed() -> None:
    operators = [node.op_type for node in onnx.load(MODEL_STORE / "mnist.onnx").graph.node]
    assert operators.count("Conv") == 5
    assert not {"BatchNormalization", "Dropout", "Div", "Mul"} & set(operators)  # folded, or never there
    assert len(operators) <= 20
