"""The types of the fixtures in conftest.py, for annotations."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.service import TorchServe

Sample = tuple[NDArray[np.float32], NDArray[np.uint8]]  # pixels (500, 784) in 0..1, and labels (500,)
MakeServer = Callable[..., TorchServe]
MakeGateway = Callable[..., Gateway]
