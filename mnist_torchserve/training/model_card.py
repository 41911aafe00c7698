"""Writes the model card from the record of the training in the weights file."""

import textwrap
from collections.abc import Sequence
from typing import Any

from mnist_torchserve import markdown
from . import evaluation, outliers, targets, unseen
from .evaluation import Figures


def text(story: dict[str, Any]) -> str:
    """Return the whole card in Markdown. Every figure in it comes from `story`."""
    figures, seeds = story["metrics"], list(story["seeds"].values())
    parts = [
        f"# Model card: {story['name']}",
        _prose(f"""
            The model reads one handwritten digit from a 28×28 grey image. `scripts/train` wrote this card on
            {story["created"][:10]}. The weights files contain the same figures, and `scripts/evaluate` measures
            them again."""),
        *_intended_use(figures),
        *_data(story),
        *_network(figures),
        *_training(story),
        *_results(figures, seeds),
        LIMITS,
        *_repetition(story),
    ]
    return "\n\n".join(parts) + "\n"


def details(figures: Figures) -> str:
    """Return figures without a target: each unseen kind separately, and others that the totals do not show."""
    header = ["unseen kind", "AUROC", "false positives at 95% recall", "mean confidence"]
    rows = []
    for kind, name in [*((kind, kind) for kind in unseen.KINDS), ("unseen", "all")]:
        auroc, fpr95, confidence = (figures[f"{kind}_{figure}"] for figure in ("auroc", "fpr95", "confidence"))
        rows.append([name, f"{auroc:.4f}", f"{fpr95:.2%}", f"{confidence:.3f}"])
    rest = f"""
        Mean confidence on the test digits: {figures["confidence_digits"]:.4f}. Accuracy on inverted digits:
        {figures["inverted_accuracy"]:.2%}."""
    return f"{markdown.table(header, rows)}\n\n{_prose(rest)}"


LIMITS = """\
## Limits

- American census staff and students wrote MNIST's digits. Other handwriting, such as a 1 with a long
  upstroke or a 7 with a bar, is rarer in MNIST. How well it is read has not been measured.
- The network needs one digit, upright, in the middle, on paper of one tone. The service prepares pictures in
  this way: [docs/images.md](images.md) says which, and how well they are read.
- Characters that resemble a digit (O, l, S, Z, B) may be read as that digit, with a high confidence.
- Drawings and symbols get a higher confidence than the average over all unseen kinds: see the table by kind.
- All images of the kind "photographs" are pieces of one photograph. Their figures do not say how the network
  treats other photographs.
- On 10,000 images, an ECE below about 0.15% cannot be distinguished from 0.
- The network has no defence against images that are made to deceive it."""


def _intended_use(figures: Figures) -> list[str]:
    return [
        "## Intended use",
        _prose("""
            Images of one digit, centred and about 20 pixels high like MNIST's, light on dark or dark on light. Do
            not use it for several digits at once, for other alphabets, or for decisions that a person should make."""),
        _prose(f"""
            `prediction` is the most likely digit, and `confidence` is its probability. The rest of the probability is
            spread over the other nine digits and "not a digit". So images that show no digit get a lower confidence
            on average: {figures["unseen_confidence"]:.3f} over the unseen kinds below, compared with
            {figures["confidence_digits"]:.3f} on the test digits. A threshold on `confidence` rejects most of them: one
            that accepts 95% of the test digits also accepts {figures["unseen_fpr95"]:.2%} of the unseen kinds."""),
    ]


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
            {data["train"]:,} digits for training, {data["validation"]:,} for validation (to fit the temperature
            and to choose the seed), and {data["test"]:,} for the test. SHA-256 of pixels and labels:
            `{data["sha256"]}`."""),
        _prose(f"""
            The project generates images that show no digit. The training uses these kinds
            (`mnist_torchserve/training/outliers.py`): {learned}. It never uses these, which are called "unseen kinds"
            below (`mnist_torchserve/training/unseen.py`, {evaluation.UNSEEN_PER_KIND:,} images each):"""),
        "\n".join(f"- {name}: {_first_line(kind.__doc__)}" for name, kind in unseen.KINDS.items()),
        _prose("""
            The unseen kinds were fixed before the network was tuned. But we looked at their figures while we chose
            the kinds for the training, so images of other kinds may get a higher confidence."""),
        _picture("unseen_kinds", "Examples of the unseen kinds with their confidences"),
    ]


def _network(figures: Figures) -> list[str]:
    return [
        "## Network",
        _prose(f"""
            `handler/classifier/network.py` first computes the distance of every pixel from the paper, which is the
            mean along the border. Then come five convolutions of 16, 32, 48, 64 and 96 channels, with strides
            instead of pooling, and one linear layer to ten digits and "not a digit". The network has
            {figures["parameters"]:,.0f} parameters and takes {figures["macs"]:,.0f} multiply-accumulates for a digit.
            By construction, it treats an image and its inverse alike, and every constant image like a black one.
            Batch normalization is folded into the convolutions, and the temperature into the last layer."""),
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
            are rotated by up to {ranges["rotation"]:g}°, scaled by up to {ranges["scale"]:.0%}, sheared by
            up to {ranges["shear"]:g}, shifted by up to {ranges["shift"]:g} pixels and slightly bent, each by a
            random share of these. {settings["kept"]:.0%} of the images stay unchanged; in the last
            {settings["clear_epochs"]} epochs, all do. The weights are a moving average ({settings["average_decay"]} a
            step). Then one temperature, {story["temperature"]:.3f}, was fitted on the validation digits."""),
        _prose(f"""
            Seeds {", ".join(story["seeds"])} took {", ".join(minutes)} minutes, in parallel with one
            thread each on {story["machine"]}. These weights are those of seed {story["seed"]}, which has the lowest
            NLL on the validation digits ({story["metrics"]["validation_nll"]:.4f}). The test digits did not
            influence this choice. But they were not wholly unseen: their figures were printed during the
            trials that led to these settings, and this training replaced a first one, which missed three
            targets. Code: commit `{story["commit"]}`{uncommitted}. Versions: {versions}."""),
        _picture("training_curves", "NLL and error on validation, epoch by epoch"),
    ]


def _results(figures: Figures, seeds: Sequence[Figures]) -> list[str]:
    return [
        "## Results",
        _prose("""
            These figures are of the averaged weights of the last epoch, run by ONNX Runtime. A target is met if
            both these weights and the mean over the seeds reach it."""),
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
            On the same machine with the same versions, a seed gives the same network again. Another processor
            rounds differently and gives a slightly different network."""),
    ]


def _first_line(docstring: str | None) -> str:
    line = (docstring or "").splitlines()[0].rstrip(".")
    return line[0].lower() + line[1:]
