"""A user's ONNX file, between our pixels and our probabilities."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from classifier.adapter import Interface
from classifier.types import PIXELS, Pixels
from .errors import PackagingError, one_line
from .probe import SHAPES

OLDEST_OPSET = 11
_INITIALIZERS_ALONE = 4  # the IR version from which an initializer need not be an input as well


class ForeignOnnx:
    """A user's ONNX file.

    Args:
        path: the file; what it keeps outside lies beside it.

    Raises:
        PackagingError: it is no ONNX file, or takes something else than images.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise PackagingError(f"There is no file {path}.")
        try:
            self.model = onnx.load(path)
            onnx.checker.check_model(self.model)
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # neither has a common base of its errors
            raise PackagingError(f"{path} cannot be used as an ONNX file: {one_line(error)}.") from None
        [opset] = [each.version for each in self.model.opset_import if each.domain in ("", "ai.onnx")] or [0]
        inputs = self._session.get_inputs()
        found = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or tuple(inputs[0].shape[1:]) not in SHAPES:
            raise PackagingError(
                f"Expected one input of float32 images, (B, 784), (B, 28, 28) or (B, 1, 28, 28), "
                f"in {path}, got {found}."
            )
        if isinstance(inputs[0].shape[0], int):
            raise PackagingError(
                f"{path} takes exactly {inputs[0].shape[0]} images at a time, but must take any number: export it "
                f'with a dynamic batch size, with `dynamic_axes={{"{inputs[0].name}": {{0: "batch"}}}}` in '
                'torch.onnx.export, or with `dynamic_shapes=({0: "batch"},)` and dynamo=True.'
            )
        if opset < OLDEST_OPSET:
            raise PackagingError(f"{path} has ONNX opset {opset}: export it with {OLDEST_OPSET} or later.")
        self._input = inputs[0].name
        self.shape: tuple[int, ...] = tuple(inputs[0].shape[1:])

    def __call__(self, images: Pixels) -> Any:
        """Images (B, *shape) to what the file gives: one array, or several."""
        found = self._session.run(None, {self._input: images})
        return found[0] if len(found) == 1 else tuple(found)

    def module(self) -> nn.Module:
        """The file as a module of torch's, so that `classifier.adapter` can adapt it too."""
        network = self

        class Itself(nn.Module):
            def forward(self, images: Tensor) -> Any:
                found = network(images.numpy())
                return tuple(map(torch.from_numpy, found)) if isinstance(found, tuple) else torch.from_numpy(found)

        return Itself()

    def adapted(self, interface: Interface) -> onnx.ModelProto:
        """The model from `pixels` (B, 784) to `probabilities` (B, K), as `classifier.adapter` does it for torch."""
        model = onnx.compose.add_prefix(self.model, "network/")  # so that no name of its is one of ours
        graph = model.graph
        steps = _Steps()
        images = "pixels"
        if interface.inverted:
            images = steps.add("Sub", steps.constant(1.0), images)
        if (interface.mean, interface.std) != (0, 1):
            images = steps.add("Sub", images, steps.constant(interface.mean))
            images = steps.add("Div", images, steps.constant(interface.std))
        steps.add("Reshape", images, steps.shape([-1, *interface.shape]), output=f"network/{self._input}")
        steps.nodes += graph.node
        output = graph.output[0].name
        if interface.meaning == "probabilities" and interface.temperature == 1:
            steps.add("Identity", output, output="probabilities")
        else:
            self._add_softmax(steps, output, interface)
        some = self(np.zeros((2, *self.shape), np.float32))
        classes = (some[0] if isinstance(some, tuple) else some).shape[1]
        del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:], model.metadata_props[:]
        graph.node.extend(steps.nodes)
        graph.initializer.extend(steps.initializers)
        graph.input.append(helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", PIXELS]))
        graph.output.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", classes]))
        model.ir_version = max(model.ir_version, _INITIALIZERS_ALONE)
        return model

    @staticmethod
    def _add_softmax(steps: "_Steps", output: str, interface: Interface) -> None:
        if interface.meaning == "probabilities":
            output = steps.add("Log", steps.add("Max", output, steps.constant(1e-30)))
        if interface.temperature != 1:
            output = steps.add("Div", output, steps.constant(interface.temperature))
        steps.add("Softmax", output, output="probabilities", axis=1)


class _Steps:
    """Nodes in a row, and the constants that they need."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"adapter/{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: float) -> str:
        return self._initializer(np.array(value, np.float32))

    def shape(self, sizes: list[int]) -> str:
        return self._initializer(np.array(sizes, np.int64))

    def _initializer(self, value: Any) -> str:
        name = f"adapter/constant/{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(value, name))
        return name
