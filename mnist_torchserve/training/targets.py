"""The targets that the model must reach, and the table that says whether it does."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from mnist_torchserve import markdown
from .evaluation import NOISES, Figures


@dataclass(frozen=True)
class Target:
    """The bound of a figure: its name, which side is good, and how to print it."""

    figure: str
    title: str
    bound: float
    stretch: float | None = None
    at_least: bool = False
    format: str = ".4f"

    def reached(self, value: float, bound: float) -> bool:
        """Whether `value` is on the good side of `bound`."""
        return value >= bound if self.at_least else value <= bound

    def verdict(self, values: Sequence[float]) -> str:
        """Return "stretch", "met" or "missed", by the worst of `values`."""
        worst = min(values) if self.at_least else max(values)
        if self.stretch is not None and self.reached(worst, self.stretch):
            return "stretch"
        return "met" if self.reached(worst, self.bound) else "missed"

    def show(self, value: float) -> str:
        """Print `value` with its significant digits."""
        return format(value, self.format)


TARGETS = (
    Target("accuracy", "accuracy on the 10,000 test digits", 0.9965, 0.9975, at_least=True, format=".2%"),
    Target("nll", "negative log likelihood (NLL)", 0.014, 0.010),
    Target("brier", "Brier score, summed over classes", 0.0065, 0.005, format=".5f"),
    Target("ece", "expected calibration error (ECE), 15 bins", 0.0025, format=".2%"),
    Target("confidence_zeros", "confidence, all zeros", 0.2, 0.05),
    Target("confidence_ones", "confidence, all ones", 0.2, 0.05),
    Target("confidence_constants", "highest confidence, any of the 256 constant levels", 0.2, 0.05),
    Target("confidence_noise", f"highest confidence, {NOISES:,} images of uniform noise", 0.2, 0.05),
    Target("unseen_auroc", "unseen kinds of non-digits: AUROC", 0.99, at_least=True),
    Target("unseen_fpr95", "unseen kinds: false positives at 95% recall of digits", 0.02, format=".2%"),
    Target("unseen_confidence", "unseen kinds: mean confidence", 0.25),
    Target("inverted", "inverted digits (1 - x): right, or confidence ≤ 0.2", 0.98, 0.995, at_least=True, format=".2%"),
    Target("distorted", "digits under moderate affine distortion: right", 0.97, 0.985, at_least=True, format=".2%"),
    Target("parameters", "parameters", 150_000, format=",.0f"),
    Target("macs", "multiply-accumulates for one digit", 1_000_000, format=",.0f"),
    Target("parity", "largest difference between ONNX Runtime and torch", 1e-5, format=".1e"),
    Target("minutes", "training of one seed, minutes", 40, format=".0f"),
)


def missed(figures: Figures, seeds: Sequence[Figures]) -> list[str]:
    """Return the figures whose target `figures` or the mean over `seeds` misses."""
    return [target.figure for target in TARGETS if _verdict(target, figures, seeds) == "missed"]


def table(figures: Figures, seeds: Sequence[Figures]) -> str:
    """Return a Markdown table of all targets: the `figures` of these weights, and mean and spread over `seeds`."""
    header = ["figure", "target", "stretch", "these weights", f"mean ± s.d. of {len(seeds)} seeds", ""]
    rows = []
    for target in TARGETS:
        sign = "≥" if target.at_least else "≤"
        values = [seed[target.figure] for seed in seeds]
        deviation = statistics.stdev(values) if len(values) > 1 else 0
        spread = f"{target.show(statistics.mean(values))} ± {target.show(deviation)}"
        stretch = "" if target.stretch is None else f"{sign} {target.show(target.stretch)}"
        bound, value = f"{sign} {target.show(target.bound)}", target.show(figures[target.figure])
        rows.append([target.title, bound, stretch, value, spread, _verdict(target, figures, seeds)])
    return markdown.table(header, rows)


def _verdict(target: Target, figures: Figures, seeds: Sequence[Figures]) -> str:
    mean = statistics.mean(seed[target.figure] for seed in seeds)
    return target.verdict([figures[target.figure], mean])
