"""How well the service's way from a file to 28×28 reads each kind of picture."""

from typing import NamedTuple

import numpy as np
from classifier import images
from classifier.runtime import Runtime
from mnist_torchserve import markdown
from mnist_torchserve.client import weights
from mnist_torchserve.training.dataset import Split
from . import stencils
from .catalog import KINDS, SEED, Kind
from .stencils import Digits

WRITTEN = 200  # of MNIST's validation digits
SURE = 0.9  # confidence
MOST_SURELY_WRONG = 0.01  # share


class Reading(NamedTuple):
    """What became of the pictures of one kind: shares of them."""

    kind: Kind
    right: float
    surely_wrong: float

    @property
    def is_good(self) -> bool:
        """Whether as many are read right as are to be, and few taken for another digit with confidence."""
        return self.right >= self.kind.want and self.surely_wrong <= MOST_SURELY_WRONG


def digits(validation: Split) -> Digits:
    """Those that the table in docs/images.md is made of."""
    chosen = np.random.default_rng(SEED).choice(len(validation.labels), WRITTEN, replace=False)
    return stencils.draw(Split(validation.pixels[chosen], validation.labels[chosen]))


def read(kind: Kind, shown: Digits, runtime: Runtime) -> Reading:
    """Render each digit as this kind of picture, and read it; what is taken for a blank page is not right."""
    rng = np.random.default_rng([SEED, KINDS.index(kind)])
    pixels = np.stack([images.read(kind.render(rng, stencil)) for stencil in shown.stencils])
    probabilities = weights.probabilities(runtime, pixels)
    right = (probabilities.argmax(1) == shown.labels) & pixels.any(1)
    return Reading(kind, float(right.mean()), float((~right & (probabilities.max(1) >= SURE)).mean()))


def report(readings: list[Reading], count: int) -> str:
    """The table of kinds for docs/images.md."""
    header = ["kind", "read right", "wanted", f"wrong, confidence {SURE} or more"]
    rows = [
        [kind.name, f"{right:.1%}", f"{kind.want:.0%}", f"{surely_wrong:.1%}"] for kind, right, surely_wrong in readings
    ]
    return f"""{count} digits as pictures of each kind: {WRITTEN} of MNIST's validation digits, the others printed,
200×200 pixels where the kind does not say otherwise. Where light comes from, and what surrounds the page, is drawn at
random for each ([`catalog.py`](../mnist_torchserve/training/kinds/catalog.py)), by a seed that was chosen before the
reading was tuned. The number behind a light or shadow is what it leaves of the full light; behind a pencil, its grey
level on paper of 240:

{markdown.table(header, rows)}
"""
