"""Adds batch normalization for training, and removes it afterwards."""

import copy
from typing import cast

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from classifier.network import DigitNetwork


def insert(network: DigitNetwork) -> DigitNetwork:
    """Return the network with batch normalization between each convolution and its activation."""
    network = copy.deepcopy(network)
    layers: list[nn.Module] = []
    for layer in network.features:
        layers.append(layer)
        if isinstance(layer, nn.Conv2d):
            layers.append(nn.BatchNorm2d(layer.out_channels))
    network.features = nn.Sequential(*layers)
    return network


def fold(network: DigitNetwork) -> DigitNetwork:
    """Return the network that `insert` extended, with the normalization merged into the convolutions' weights."""
    network = copy.deepcopy(network).eval()
    layers: list[nn.Module] = []
    for layer in network.features:
        if isinstance(layer, nn.BatchNorm2d):
            layers[-1] = fuse_conv_bn_eval(cast(nn.Conv2d, layers[-1]), layer)
        else:
            layers.append(layer)
    network.features = nn.Sequential(*layers)
    return network
