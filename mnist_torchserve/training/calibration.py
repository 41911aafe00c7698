"""Temperature scaling (Guo et al., "On calibration of modern neural networks", 1706.04599)."""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from classifier.network import DigitNetwork

_USUAL = np.geomspace(0.5, 2, 401)
MOST_ECE = 0.05  # after calibration
TEMPERATURES = np.concatenate([np.geomspace(0.01, 0.5, 120)[:-1], _USUAL, np.geomspace(2, 100, 120)[1:]])


def temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature that gives the `labels` (N,) the highest likelihood under `logits` (N, K + 1).

    If all N labels are right, the likelihood grows without end as the temperature falls. Then the mean confidence may
    grow to (N + 1) / (N + 2) by Laplace's rule of succession, or as far as the usual temperatures take it.
    """
    logits, tried = logits.double(), TEMPERATURES
    if (logits.argmax(1) == labels).all():
        most = (len(labels) + 1) / (len(labels) + 2)
        tried = np.array([t for t in tried if t >= _USUAL[0] or _confidence(logits / t) <= most])
    losses = [nn.functional.cross_entropy(logits / t, labels).item() for t in tried]
    return float(tried[int(np.argmin(losses))])


def _confidence(logits: Tensor) -> float:
    return logits.softmax(1).amax(1).mean().item()


def doubts(temperature: float, ece: float, images: int, *, all_right: bool) -> list[str]:
    """Return what speaks against a network's confidence after calibration, in half sentences.

    Args:
        temperature: that was fitted.
        ece: the expected calibration error on test images, which played no part in the fit.
        images: how many these are.
        all_right: whether the network reads every validation image correctly.
    """
    found = []
    if ece > MOST_ECE:
        found.append(
            f"not calibrated: its ECE is {ece:.2%} on {images:,} test images, above the limit of {MOST_ECE:.0%}"
        )
    if why := unfitted(temperature, all_right=all_right):
        found.append(why)
    return found


def unfitted(temperature: float, *, all_right: bool) -> str | None:
    """Return why a temperature calibrates nothing, in half a sentence; None if it does. See `doubts`."""
    if all_right:
        return "not calibrated: it reads every validation image correctly, so there are no errors to fit"
    if temperature in (TEMPERATURES[0], TEMPERATURES[-1]):
        return f"not calibrated: its temperature of {temperature:g} is at the end of the range that was tried"
    return None


def fold(network: DigitNetwork, temperature: float) -> DigitNetwork:
    """Return the network with its logits divided by `temperature`."""
    network = copy.deepcopy(network)
    with torch.no_grad():
        network.classifier.weight.div_(temperature)
        network.classifier.bias.div_(temperature)
    return network
