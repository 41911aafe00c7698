"""A TorchServe handler as TorchServe's documentation teaches it: the second baseline."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from ts.torch_handler.base_handler import BaseHandler
from classifier.network import DigitNetwork


class PlainHandler(BaseHandler):  # type: ignore[misc]  # TorchServe has no types
    """Preprocess, inference, postprocess, one request at a time, torch eager."""

    def initialize(self, context: Any) -> None:
        """Load the network's weights."""
        self.context = context
        self.manifest = context.manifest
        self.device = torch.device("cpu")
        self.model = DigitNetwork()
        weights = Path(context.system_properties["model_dir"]) / "mnist.pt"
        self.model.load_state_dict(torch.load(weights, weights_only=True)["state_dict"])
        self.model.eval()
        self.initialized = True

    def preprocess(self, data: list[dict[str, Any]]) -> Tensor:
        """Bodies, decoded by TorchServe, to pixels (B, 784)."""
        return torch.tensor([row["body"]["data"] for row in data])

    def inference(self, data: Tensor, *_: Any, **__: Any) -> Tensor:
        """Pixels (B, 784) to probabilities (B, 10)."""
        with torch.no_grad():
            probabilities: Tensor = self.model(data).softmax(dim=1)[:, :10]
        return probabilities

    def postprocess(self, data: Tensor) -> list[dict[str, int | float]]:
        """Probabilities (B, 10) to B answers."""
        confidences, predictions = data.max(dim=1)
        pairs = zip(predictions.tolist(), confidences.tolist(), strict=True)
        return [{"prediction": prediction, "confidence": confidence} for prediction, confidence in pairs]
