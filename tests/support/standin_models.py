"""A stand-in for TorchServe with any model: the handler's own reading and answers, and an untrained network.

Class k of K is the likelier, the lighter the k-th of K horizontal strips of the image is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from classifier import batch
from classifier.types import PIXELS, Model, Pixels, Probabilities, Request
from mnist_torchserve.service import TorchServe
from . import stub


def probabilities(pixels: Pixels, classes: int) -> Probabilities:
    """Pixels (B, 784) to probabilities (B, K)."""
    strips = np.arange(PIXELS) * classes // PIXELS == np.arange(classes)[:, None]
    light = pixels @ strips.T.astype(np.float32) / 2
    powers = np.exp(light - light.max(1, keepdims=True))
    found: Probabilities = powers / powers.sum(1, keepdims=True)
    return found


@contextmanager
def node(model: Model, classes: int, home: Path, share: float = 1) -> Iterator[TorchServe]:
    """Answer as a TorchServe with this model would, at the addresses of the one that this yields.

    Args:
        model: what its archive says of it.
        classes: K.
        home: a folder for its settings.
        share: of the probability that the classes have; the rest is that of none.
    """

    def answering(path: str, body: bytes) -> tuple[int, Any]:
        if path.startswith("/models/") and "/invoke" not in path:  # the gateway asks for its health
            return 200, {}
        read = batch.read([Request(body, "", details="details=true" in path)], model)
        [answer] = read.responses(share * probabilities(read.pixels, classes))
        return int(answer.status), msgspec.json.decode(answer.body)

    with stub.running(answering) as running:
        loaded, url = f"{model.name}.mar", running.url
        yield TorchServe.on_free_ports(home, load_models=loaded, inference_address=url, management_address=url)
