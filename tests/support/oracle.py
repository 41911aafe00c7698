"""What a right service says: the committed network in plain PyTorch, without any code of the runtimes."""

import torch
from classifier.network import DigitNetwork
from classifier.types import Pixels, Probabilities
from mnist_torchserve.contract import CLASSES
from mnist_torchserve.project import MODEL_STORE


def probabilities(pixels: Pixels) -> Probabilities:
    """Images (n, 784) to the probabilities (n, 10) of the digits."""
    network = DigitNetwork().eval()
    network.load_state_dict(torch.load(MODEL_STORE / "mnist.pt", weights_only=True)["state_dict"])
    with torch.inference_mode():
        answers: Probabilities = network(torch.from_numpy(pixels)).softmax(1)[:, :CLASSES].numpy()
    return answers
