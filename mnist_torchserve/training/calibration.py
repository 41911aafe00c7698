"""Temperature scaling (Guo et al., "On calibration of modern neural networks", 1706.04599)."""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from classifier.network import DigitNetwork

TEMPERATURES = np.geomspace(0.5, 2, 401)


def temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature that gives the `labels` (N,) of digits the highest likelihood under `logits` (N, 11)."""
    losses = [nn.functional.cross_entropy(logits.double() / t, labels).item() for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def fold(network: DigitNetwork, temperature: float) -> DigitNetwork:
    """Return the network with its logits divided by `temperature`."""
    network = copy.deepcopy(network)
    with torch.no_grad():
        network.classifier.weight.div_(temperature)
        network.classifier.bias.div_(temperature)
    return network
