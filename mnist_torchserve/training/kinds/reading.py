"""How well the service reads each kind of picture, from the file to the digit."""

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
    """The results for the pictures of one kind, as shares."""

    kind: Kind
    right: float
    surely_wrong: float

    @property
    def is_good(self) -> bool:
        """Whether enough are read right, and few are taken for another digit with confidence."""
        return self.right >= self.kind.want and self.surely_wrong <= MOST_SURELY_WRONG


def digits(validation: Split) -> Digits:
    """Return the digits for the table in docs/images.md."""
    chosen = np.random.default_rng(SEED).choice(len(validation.labels), WRITTEN, replace=False)
    return stencils.draw(Split(validation.pixels[chosen], validation.labels[chosen]))


def read(kind: Kind, shown: Digits, runtime: Runtime) -> Reading:
    """Render each digit as this kind of picture, and read it. A digit taken for a blank page counts as wrong."""
    rng = np.random.default_rng([SEED, KINDS.index(kind)])
    pixels = np.stack([images.read(kind.render(rng, stencil)) for stencil in shown.stencils])
    probabilities = weights.probabilities(runtime, pixels)
    right = (probabilities.argmax(1) == shown.labels) & pixels.any(1)
    return Reading(kind, float(right.mean()), float((~right & (probabilities.max(1) >= SURE)).mean()))


def report(readings: list[Reading], count: int) -> str:
    """Return the table of kinds for docs/images.md."""
    header = ["kind", "read right", "wanted", f"wrong, confidence {SURE} or more"]
    rows = [
        [kind.name, f"{right:.1%}", f"{kind.want:.0%}", f"{surely_wrong:.1%}"] for kind, right, surely_wrong in readings
    ]
    return f"""{count} digits are read as pictures of each kind: {WRITTEN} of MNIST's validation digits, and others that
are printed. A picture has 200×200 pixels unless its kind says otherwise. Where the light comes from, and what surrounds
the page, is drawn at random for each picture ([`catalog.py`](../mnist_torchserve/training/kinds/catalog.py)). The seed
was chosen before the reading was tuned. The number after a light or shadow is the share of the full light that it
leaves. The number after a pencil is its grey level, on paper of 240:

{markdown.table(header, rows)}
"""
