"""Runs the network from pixels to probabilities, on ONNX Runtime on a CPU or on torch on a GPU.

Both read their weights from the model's directory, where a `.mar` unpacks them: NAME.onnx for a CPU, and NAME.pt2 or
NAME.pt for a GPU. If there is only NAME.pt, the network could not be exported, and it runs on torch everywhere.
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from .types import MAX_CLASSES, PIXELS, Pixels, Probabilities

_AGAIN = (
    "Bring or train the model again with `scripts/archive` or `scripts/train`; `git checkout model_store` restores "
    "MNIST's."
)


class WeightsError(RuntimeError):
    """A weights file cannot be used. The message says why, and what to do."""

    def __init__(self, path: Path, problem: str, remedy: str = _AGAIN) -> None:
        super().__init__(path, problem, remedy)  # so that another process can pass it on

    def __str__(self) -> str:
        path, problem, remedy = self.args
        return f"{path} {problem}. {remedy}"


class Files(NamedTuple):
    """The paths of a model's weights, of which some may be missing."""

    onnx: Path
    exported: Path  # NAME.pt2: torch's exported program, which needs no code
    saved: Path  # NAME.pt: a state_dict, for a network whose code is in the archive

    @classmethod
    def of(cls, folder: Path, name: str) -> "Files":
        """Return the paths for a model in a folder."""
        return cls(folder / f"{name}.onnx", folder / f"{name}.pt2", folder / f"{name}.pt")


class Runtime(Protocol):
    """The network, loaded and ready."""

    name: str
    classes: int  # K
    metadata: dict[str, Any]

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """Pixels (B, 784) in 0..1 to the classes' probabilities (B, K).

        A row may sum to less than one. The difference is the probability that the image shows no class.
        """


def load(model_dir: Path, gpu_id: int | None) -> Runtime:
    """Return the runtime for this worker: torch if it was given a GPU that torch can use, else ONNX Runtime.

    Raises `WeightsError` if the weights cannot be used.
    """
    onnx, exported, saved = find(model_dir)
    for_gpu = exported if exported.is_file() else saved
    if for_gpu.is_file() and gpu_id is not None:
        import torch  # noqa: PLC0415 - only for GPUs

        if torch.cuda.is_available():
            return TorchRuntime(for_gpu, f"cuda:{gpu_id}")
    if saved.is_file() and not onnx.is_file():
        import torch  # noqa: PLC0415 - for networks that could not be exported
        from . import torch_network  # noqa: PLC0415 - it imports torch

        if torch_network.is_imported(saved):
            torch.set_num_threads(1)  # TorchServe scales by workers, whose threads would fight over the cores
            return TorchRuntime(saved, "cpu")
    return OnnxRuntime(onnx)


def find(model_dir: Path) -> Files:
    """Return the paths of the weights in a folder.

    Raises `WeightsError` if there are none, or if they have several names.
    """
    names = {file.stem for suffix in (".onnx", ".pt2", ".pt") for file in model_dir.glob(f"*{suffix}")}
    if len(names) != 1:
        raise WeightsError(model_dir, f"holds the weights of {len(names)} models, where those of one are expected")
    [name] = names
    return Files.of(model_dir, name)


class OnnxRuntime:
    """ONNX Runtime on one thread: TorchServe scales by workers, whose threads would fight over the cores."""

    name = "onnxruntime-cpu"

    def __init__(self, path: Path) -> None:
        # Otherwise its wheels for Linux store an ID of the machine and send reports to their maker.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime  # noqa: PLC0415 - only for CPUs

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors only, since TorchServe logs what a worker prints
        _require(path)
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            tensors = [*self._session.get_inputs(), *self._session.get_outputs()]
            self.metadata: dict[str, Any] = json.loads(self._session.get_modelmeta().custom_metadata_map["metadata"])
        except Exception as error:  # onnxruntime's errors have no other common base
            problem = f"is not an ONNX file that scripts/train or scripts/archive wrote: {_first_line(error)}"
            raise WeightsError(path, problem) from None
        match [(tensor.name, tensor.shape[1:]) for tensor in tensors]:
            case [("pixels", [size]), ("probabilities", [int(classes)])] if size == PIXELS and classes <= MAX_CLASSES:
                self.classes = classes
            case found:
                raise WeightsError(
                    path, f"holds another network: expected pixels (B, {PIXELS}) and probabilities (B, K), got {found}"
                )

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """See `Runtime.probabilities`."""
        result: Probabilities = self._session.run(("probabilities",), {"pixels": pixels})[0]
        return result


class TorchRuntime:
    """The network in NAME.pt2 or NAME.pt, on `device`."""

    def __init__(self, path: Path, device: str) -> None:
        import torch  # noqa: PLC0415 - for GPUs and networks that cannot be exported
        from . import torch_network  # noqa: PLC0415 - it imports torch

        self.name = f"torch-{device}"
        self._torch, self._device = torch, device
        if device != "cpu":  # with TF32, a GPU's answers would differ from a CPU's
            torch.backends.cudnn.allow_tf32 = False
        _require(path)
        try:
            self._network, self.metadata = torch_network.load(path, device)
        except ModuleNotFoundError as error:
            raise WeightsError(
                path,
                f"needs the package `{error.name}`, which the network's code imports",
                "Install it beside TorchServe; in an image, with `--build-arg PACKAGES=…`.",
            ) from None
        except Exception as error:  # a broken pickle can raise any error
            raise WeightsError(path, f"does not hold the weights of its network: {_first_line(error)}") from None
        try:
            ramp = np.linspace(0, 1, PIXELS, dtype=np.float32)  # some networks have no answer to a black image
            self.classes = self.probabilities(ramp[np.newaxis]).shape[1]
        except Exception as error:  # whatever a user's own code does
            elsewhere = "" if device == "cpu" else "; `deviceType: cpu` in its model-config.yaml keeps it off the GPU"
            raise WeightsError(path, f"does not run on {device}: {_first_line(error)}{elsewhere}") from None

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """See `Runtime.probabilities`."""
        with self._torch.inference_mode():
            result: Probabilities = self._network(self._torch.from_numpy(pixels).to(self._device)).cpu().numpy()
        return result


def _require(path: Path) -> None:
    if not path.is_file():
        raise WeightsError(path, "is missing")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".:") if str(error).strip() else type(error).__name__
