"""The model card, written from the story that the weights file carries."""

import textwrap
from collections.abc import Sequence
from typing import Any

from mnist_torchserve import markdown
from . import evaluation, outliers, targets, unseen
from .evaluation import Figures


def text(story: dict[str, Any]) -> str:
    """The whole card in Markdown; every figure in it is in `story`."""
    figures, seeds = story["metrics"], list(story["seeds"].values())
    parts = [
        f"# Model card: {story['name']}",
        _prose(f"""
            Reads one handwritten digit from a 28×28 grey image. Written by `scripts/train` on
            {story["created"][:10]}; the figures below travel in the weights files as well, and
            `scripts/evaluate` measures them again."""),
        INTENDED_USE,
        *_data(story),
        *_network(figures),
        *_training(story),
        *_results(figures, seeds),
        LIMITS,
        *_repetition(story),
    ]
    return "\n\n".join(parts) + "\n"


def details(figures: Figures) -> str:
    """Figures that no target is set for: the unseen kinds one by one, and what the totals leave out."""
    header = ["unseen kind", "AUROC", "false positives at 95% recall", "mean confidence"]
    rows = []
    for kind, name in [*((kind, kind) for kind in unseen.KINDS), ("unseen", "all")]:
        auroc, fpr95, confidence = (figures[f"{kind}_{figure}"] for figure in ("auroc", "fpr95", "confidence"))
        rows.append([name, f"{auroc:.4f}", f"{fpr95:.2%}", f"{confidence:.3f}"])
    rest = f"""
        Mean confidence on the test digits: {figures["confidence_digits"]:.4f}. Inverted digits read
        right: {figures["inverted_accuracy"]:.2%}."""
    return f"{markdown.table(header, rows)}\n\n{_prose(rest)}"


INTENDED_USE = """\
## Intended use

Images of one digit, centred and about 20 pixels high as MNIST's are, light on dark or dark on light.
`prediction` is the likeliest digit. `confidence` is its probability; what is missing to 1 is spread over
the other nine digits and "not a digit". So a page that shows no digit gets a prediction with a confidence
near 0, and a threshold on `confidence` sorts such pages out. It is not made for several digits at once, for
other alphabets, or for decisions that a person should make."""

LIMITS = """\
## Limits

- MNIST's digits were written by American census staff and students. Other hands, with a long upstroke on
  the 1 or a bar through the 7, are rarer in it, and how well they are read has not been measured.
- A digit must stand alone, upright, in the middle, on paper of one tone. Photographs need cutting out and
  scaling.
- Signs that resemble a digit (O, l, S, Z, B) may be read as that digit, and with confidence.
- Of drawings and foreign characters, the network lets more pass than the averages over all unseen kinds
  tell: see the table by kind.
- An ECE below about 0.15% cannot be told from 0 on 10,000 images.
- Nothing here defends against images made to deceive the network."""


def _prose(paragraph: str) -> str:
    return textwrap.fill(" ".join(paragraph.split()), 108, break_long_words=False, break_on_hyphens=False)


def _picture(name: str, caption: str) -> str:
    return f"![{caption}](model_card/{name}.png)"


def _data(story: dict[str, Any]) -> list[str]:
    data = story["data"]
    learned = ", ".join(kind.__name__.replace("_", " ") for kind in outliers.KINDS)
    return [
        "## Data",
        _prose(f"""
            {data["name"]} (LeCun, Cortes, Burges; CC BY-SA 3.0) from `{data["source"]}`:
            {data["train"]:,} digits to learn from, {data["validation"]:,} to fit the temperature and
            choose the seed by, {data["test"]:,} to report on. SHA-256 of pixels and labels:
            `{data["sha256"]}`."""),
        _prose(f"""
            Images that show no digit are made by the project itself. Learned from
            (`mnist_torchserve/training/outliers.py`): {learned}. Never learned from, and meant by "unseen kinds" below
            (`mnist_torchserve/training/unseen.py`, {evaluation.UNSEEN_PER_KIND:,} images each):"""),
        "\n".join(f"- {name}: {_first_line(kind.__doc__)}" for name, kind in unseen.KINDS.items()),
        _prose("""
            The unseen kinds were fixed before the network was tuned, but their figures were looked at
            while the kinds to learn from were being chosen. They are a fair guide to things never seen,
            not a bound."""),
        _picture("unseen_kinds", "Examples of the unseen kinds with their confidences"),
    ]


def _network(figures: Figures) -> list[str]:
    return [
        "## Network",
        _prose(f"""
            `handler/classifier/network.py`: the distance of every pixel from the paper (the mean along the border),
            five convolutions of 16, 32, 48, 64 and 96 channels, strides in place of pooling, and one
            linear layer to ten digits and "not a digit". {figures["parameters"]:,.0f} parameters and
            {figures["macs"]:,.0f} multiply-accumulates for a digit. To it an inverted image is the same
            as the image, and every constant image the same as a black one, by construction. Batch
            normalization is folded into the convolutions, and the temperature into the last layer."""),
    ]


def _training(story: dict[str, Any]) -> list[str]:
    settings, ranges = story["configuration"], story["configuration"]["ranges"]
    minutes = [f"{figures['minutes']:.0f}" for figures in story["seeds"].values()]
    versions = ", ".join(f"{name} {number}" for name, number in story["versions"].items())
    uncommitted = ", with changes that were not committed" if story["dirty"] else ""
    return [
        "## Training",
        _prose(f"""
            {settings["epochs"]} epochs of stochastic gradient descent with Nesterov momentum
            {settings["momentum"]}, one-cycle learning rate up to {settings["peak_learning_rate"]}, weight
            decay {settings["weight_decay"]}, batches of {settings["digits_per_batch"]} digits and
            {settings["outliers_per_batch"]} other images, cross entropy without label smoothing. Images
            are turned by up to {ranges["rotation"]:g}°, scaled by up to {ranges["scale"]:.0%}, sheared by
            up to {ranges["shear"]:g}, shifted by up to {ranges["shift"]:g} pixels and lightly bent, each
            by its own random share of all that; {settings["kept"]:.0%} of them, and all in the last
            {settings["clear_epochs"]} epochs, stay as they are. The weights are a moving average
            ({settings["average_decay"]} a step). One temperature, {story["temperature"]:.3f}, was then
            fitted on the validation digits."""),
        _prose(f"""
            Seeds {", ".join(story["seeds"])} took {", ".join(minutes)} minutes, side by side with one
            thread each on {story["machine"]}. These weights are seed {story["seed"]}, whose NLL on the
            validation digits is the lowest ({story["metrics"]["validation_nll"]:.4f}); the test digits
            had no say in it. They were not wholly unseen, though: figures on them were printed during the
            trials that settled the settings, and a first full training, which missed three targets, was
            replaced by this one. Code: commit `{story["commit"]}`{uncommitted}. Versions: {versions}."""),
        _picture("training_curves", "NLL and error on validation, epoch by epoch"),
    ]


def _results(figures: Figures, seeds: Sequence[Figures]) -> list[str]:
    return [
        "## Results",
        _prose("""
            Of the last epoch's averaged weights, as ONNX Runtime answers. A target is met when these
            weights and the mean over the seeds both reach it."""),
        targets.table(figures, seeds),
        _prose("""
            Moderate affine distortion: rotation within ±20°, scale 0.8 to 1.2, shear within ±0.1, shift
            within ±4 pixels, all uniform."""),
        details(figures),
        _picture("confusion_matrix", "Confusion matrix of the test digits"),
        _picture("reliability_diagram", "Reliability diagram of the test digits"),
        _picture("confidence_histograms", "Confidence on digits and on unseen kinds"),
        _picture("worst_mistakes", "The worst mistakes on the test digits"),
    ]


def _repetition(story: dict[str, Any]) -> list[str]:
    seeds = " ".join(story["seeds"])
    return [
        "## How to repeat",
        f"    scripts/train --seeds {seeds}    # from nothing to the weights files and this card\n"
        f"    scripts/evaluate    # every figure above, from the committed weights",
        _prose("""
            A seed gives the same network again on the same machine with the same versions; another
            processor rounds otherwise, and ends within the spread of the seeds."""),
    ]


def _first_line(docstring: str | None) -> str:
    line = (docstring or "").splitlines()[0].rstrip(".")
    return line[0].lower() + line[1:]
