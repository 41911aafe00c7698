"""Which model of a deployment is asked: the one that the environment variable API_MODEL names, or MNIST's."""

import os

MNIST = "mnist"


def model() -> str:
    """The name of the model in TorchServe's routes."""
    return os.environ.get("API_MODEL") or MNIST


def reads_digits() -> bool:
    """Whether it is MNIST's, of which real digits tell whether it is right."""
    return model() == MNIST
