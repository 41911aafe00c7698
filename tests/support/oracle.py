"""The right answers: the committed network in plain PyTorch, without the code of the runtimes."""

import torch
from classifier.network import DigitNetwork
from classifier.types import Pixels, Probabilities
from mnist_torchserve.contract import CLASSES
from mnist_torchserve.project import MODEL_STORE


def probabilities(pixels: Pixels) -> Probabilities:
    """Probabilities of the digits (n, 10) for images (n, 784)."""
    network = DigitNetwork().eval()
    network.load_state_dict(torch.load(MODEL_STORE / "mnist.pt", weights_only=True)["state_dict"])
    with torch.inference_mode():
        answers: Probabilities = network(torch.from_numpy(pixels)).softmax(1)[:, :CLASSES].numpy()
    return answers
