"""How well the service reads digits from image files: MNIST's test set, saved in the formats that people use."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from classifier import images
from classifier.runtime import Runtime
from classifier.types import SIDE
from mnist_torchserve import markdown
from mnist_torchserve.client import weights
from mnist_torchserve.project import ROOT
from . import metrics
from .dataset import Split

DOCUMENT = ROOT / "docs" / "images.md"
MARK = "## Accuracy\n\n"
MOST_LOST = 0.003  # of the accuracy on the floats


class Saved(NamedTuple):
    """A way to save a digit, enlarged by bicubic interpolation."""

    kind: str
    paper: str
    side: int  # pixels

    def file(self, levels: NDArray[np.uint8]) -> bytes:
        """Return the file of a digit (784,) that is light on dark."""
        ink = 255 - levels if self.paper == "white" else levels
        file = io.BytesIO()
        Image.fromarray(ink.reshape(SIDE, SIDE)).resize((self.side, self.side)).save(file, self.kind)
        return file.getvalue()


WAYS = [Saved("PNG", paper, side) for side in (SIDE, 56, 200) for paper in ("black", "white")]
WAYS += [Saved("JPEG", "white", 200)]


class Accuracy(NamedTuple):
    """How well digits are read that are saved in one way. None means their floats, without a file."""

    saved: Saved | None
    accuracy: float
    confidence: float  # mean


def measure(runtime: Runtime, digits: Split) -> Iterator[Accuracy]:
    """Yield the accuracy on the floats, then on the files of each way."""
    for saved in (None, *WAYS):
        pixels = np.stack([images.read(saved.file(row)) for row in digits.pixels]) if saved else digits.floats()
        probabilities = weights.probabilities(runtime, pixels)
        accuracy = metrics.accuracy(probabilities, digits.labels)
        yield Accuracy(saved, accuracy, float(probabilities.max(1).mean()))


def missed(measured: list[Accuracy]) -> list[Accuracy]:
    """Return those that lose more than `MOST_LOST` compared with the first, the floats."""
    return [one for one in measured if one.accuracy < measured[0].accuracy - MOST_LOST]


def report(measured: list[Accuracy], digits: int) -> str:
    """Return the text below `MARK` in `DOCUMENT`."""
    header = ["file", "paper", "side", "accuracy", "lost", "mean confidence"]
    rows = []
    for saved, accuracy, confidence in measured:
        way = [saved.kind, saved.paper, f"{saved.side}"] if saved else ["none: `data`", "black", "28"]
        lost = f"{max(0, measured[0].accuracy - accuracy) * 100:.2f} points"
        rows.append([*way, f"{accuracy:.2%}", lost, f"{confidence:.4f}"])
    today = datetime.now(UTC).date()
    verdict = "No kind loses" if not missed(measured) else "Some kinds lose"
    return f"""{digits:,} of MNIST's test digits were enlarged (bicubic) and saved as files. {verdict} more
than {MOST_LOST * 100:.1f} points compared with the accuracy on the digits' floats. Measured on {today} by
`scripts/evaluate --images`:

{markdown.table(header, rows)}
"""


def write(section: str, document: Path = DOCUMENT) -> None:
    """Replace the last section of the document with this one."""
    markdown.write_below(document, MARK, section)
