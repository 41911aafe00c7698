"""The network: 28x28 pixels to logits for K classes and for "none of them"."""

import torch
from torch import Tensor, nn
from .types import PIXELS, SIDE


class DigitNetwork(nn.Module):
    """Five convolutions, with strides instead of pooling, and a linear layer whose last logit means "no class".

    The first step computes every pixel's distance from the paper, which is the mean along the image's border. So dark
    ink on light paper looks like light ink on dark paper, and all blank pages look the same.

    Args:
        classes: K.
        either_polarity: whether to do the first step, which suits ink. Otherwise the pixels are not changed.
    """

    paper: Tensor

    def __init__(self, classes: int = 10, either_polarity: bool = True) -> None:
        super().__init__()
        self.either_polarity = either_polarity
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2),  # (B, 16, 14, 14)
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),  # (B, 32, 7, 7)
            nn.ReLU(),
            nn.Conv2d(32, 48, 3),  # (B, 48, 5, 5)
            nn.ReLU(),
            nn.Conv2d(48, 64, 3),  # (B, 64, 3, 3)
            nn.ReLU(),
            nn.Conv2d(64, 96, 3),  # (B, 96, 1, 1)
            nn.ReLU(),
        )
        self.classifier = nn.Linear(96, classes + 1)

        border = torch.ones(SIDE, SIDE)
        border[1:-1, 1:-1] = 0
        self.register_buffer("paper", (border / border.sum()).reshape(PIXELS, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 784) float32 in 0..1 to logits (B, K + 1)."""
        ink = (pixels - pixels @ self.paper).abs() if self.either_polarity else pixels
        features = self.features(ink.reshape(-1, 1, SIDE, SIDE))
        logits: Tensor = self.classifier(features.flatten(1))
        return logits
