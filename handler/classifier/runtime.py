"""Pixels to probabilities on whatever the worker has: ONNX Runtime on a CPU, torch on a GPU.

Both read their weights from the model's directory, where a `.mar` unpacks them: `mnist.onnx` and `mnist.pt`.
"""

import json
import os
from pathlib import Path
from typing import Any, Protocol

from .types import CLASSES, PIXELS, Pixels, Probabilities

ONNX_FILE = "mnist.onnx"
TORCH_FILE = "mnist.pt"


class WeightsError(RuntimeError):
    """A weights file is missing, damaged, or holds another network; the message says how to get others."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path} {problem}. Restore it with `git checkout model_store` or train others with "
            "`scripts/train`, then build the archive with `scripts/archive`."
        )


class Runtime(Protocol):
    """The network, loaded and ready."""

    name: str
    metadata: dict[str, Any]

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """Pixels (B, 784) in 0..1 to the ten digits' probabilities (B, 10).

        A row sums to less than one: the rest is the probability that the image shows no digit.
        """


def load(model_dir: Path, gpu_id: int | None) -> Runtime:
    """Return the fastest runtime for this worker: torch if it was given a GPU, else ONNX Runtime.

    Raises `WeightsError` if the weights cannot be used.
    """
    if gpu_id is not None:
        import torch  # noqa: PLC0415 - for GPUs alone

        if torch.cuda.is_available():
            return TorchRuntime(model_dir / TORCH_FILE, f"cuda:{gpu_id}")
    return OnnxRuntime(model_dir / ONNX_FILE)


class OnnxRuntime:
    """ONNX Runtime on one thread: TorchServe scales by workers, whose threads would fight over the cores."""

    name = "onnxruntime-cpu"

    def __init__(self, path: Path) -> None:
        # Its wheels for Linux otherwise keep an ID of the machine, and send reports to their maker.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime  # noqa: PLC0415 - for CPUs alone

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors only: what a worker prints, TorchServe logs
        _require(path)
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            tensors = [*self._session.get_inputs(), *self._session.get_outputs()]
            self.metadata: dict[str, Any] = json.loads(self._session.get_modelmeta().custom_metadata_map["metadata"])
        except Exception as error:  # onnxruntime's errors have no other common base
            raise WeightsError(path, f"is not an ONNX file that scripts/train wrote: {_first_line(error)}") from None
        found = [(tensor.name, tensor.shape[1:]) for tensor in tensors]
        if found != [("pixels", [PIXELS]), ("probabilities", [CLASSES])]:
            raise WeightsError(
                path,
                f"holds another network: expected pixels (B, {PIXELS}) and probabilities (B, {CLASSES}), got {found}",
            )

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """See `Runtime.probabilities`."""
        result: Probabilities = self._session.run(("probabilities",), {"pixels": pixels})[0]
        return result


class TorchRuntime:
    """The torch network on `device`."""

    def __init__(self, path: Path, device: str) -> None:
        import torch  # noqa: PLC0415 - for GPUs alone
        from .network import DigitNetwork  # noqa: PLC0415 - it imports torch

        self.name = f"torch-{device}"
        self._torch, self._device = torch, device
        torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]  # TF32 would part a GPU's answers from a CPU's
        _require(path)
        network = DigitNetwork()
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            network.load_state_dict(saved["state_dict"])
            self.metadata: dict[str, Any] = saved["metadata"]
        except Exception as error:  # a pickle can break in every way
            raise WeightsError(path, f"does not hold the weights of network.py: {_first_line(error)}") from None
        self._network = network.eval().to(device)

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """See `Runtime.probabilities`."""
        with self._torch.inference_mode():
            logits = self._network(self._torch.from_numpy(pixels).to(self._device))
            result: Probabilities = logits.softmax(dim=1)[:, :CLASSES].cpu().numpy()
        return result


def _require(path: Path) -> None:
    if not path.is_file():
        raise WeightsError(path, "is missing")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".:") if str(error).strip() else type(error).__name__
