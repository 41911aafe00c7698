"""The smallest network that can be packed, as code and as weights."""

from collections.abc import Callable
from typing import Any

from torch import nn

LINEAR = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.out = nn.Linear(784, classes)

    def forward(self, x):
        return self.out(x)
"""

Pack = Callable[..., str]


def linear(classes: int = 10) -> dict[str, Any]:
    return {f"out.{name}": value for name, value in nn.Linear(784, classes).state_dict().items()}


def giving(output: str, source: str = LINEAR) -> str:
    """Code of such a network, but with another expression for its answer."""
    return source.replace("self.out(x)\n", f"{output}\n")
