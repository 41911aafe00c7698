"""The model card, written from the story that the weights file carries."""

from collections.abc import Sequence
from typing import Any

import evaluation
import outliers
import targets
import unseen
from evaluation import Figures


def text(story: dict[str, Any]) -> str:
    """The whole card in Markdown; every figure in it is in `story`."""
    figures, seeds = story["metrics"], list(story["seeds"].values())
    parts = [_head(story), _data(story), _network(figures), _training(story), _results(figures, seeds)]
    return "\n\n".join([*parts, LIMITS, REPEAT]) + "\n"


def details(figures: Figures) -> str:
    """Figures that no target is set for, as a Markdown table of the unseen kinds and a sentence."""
    rows = [["unseen kind", "AUROC", "false positives at 95% recall", "mean confidence"]]
    for kind in [*unseen.KINDS, "unseen"]:
        values = (figures[f"{kind}_auroc"], figures[f"{kind}_fpr95"], figures[f"{kind}_confidence"])
        rows.append(
            [kind if kind != "unseen" else "all", f"{values[0]:.4f}", f"{values[1]:.2%}", f"{values[2]:.3f}"]
        )
    return (
        f"{targets.markdown(rows)}\n\n"
        f"Mean confidence on the test digits: {figures['confidence_digits']:.4f}. "
        f"Inverted digits read right: {figures['inverted_accuracy']:.2%}."
    )


def _head(story: dict[str, Any]) -> str:
    return f"""# Model card: {story["name"]}

Reads one handwritten digit from a 28×28 grey image. Written by `scripts/train` on {story["created"][:10]}; all figures
below travel in the weights files as well, and `scripts/evaluate` measures them again.

## Intended use

Images of one digit, centred and about 20 pixels high as MNIST's are, light on dark or dark on light. `prediction` is the
likeliest digit. `confidence` is its probability; what is missing to 1 is spread over the other nine digits and "not a
digit". So a page that shows no digit gets a prediction with a confidence near 0, and a threshold on `confidence` sorts such
pages out. It is not made for several digits, for other alphabets, or for decisions that a person should make."""


def _data(story: dict[str, Any]) -> str:
    data = story["data"]
    kinds = ", ".join(kind.__name__.replace("_", " ") for kind in outliers.KINDS)
    others = "\n".join(f"- {name}: {_summary(kind.__doc__)}" for name, kind in unseen.KINDS.items())
    return f"""## Data

{data["name"]} (LeCun, Cortes, Burges; CC BY-SA 3.0) from `{data["source"]}`: {data["train"]:,} digits to learn from, {data["validation"]:,} to choose
the seed and fit the temperature by, {data["test"]:,} to report on. SHA-256 of pixels and labels: `{data["sha256"]}`.

Images that show no digit are drawn by the project itself. Learned from: {kinds} (`training/outliers.py`).
Never learned from, and what "unseen kinds" means below (`training/unseen.py`, {evaluation.UNSEEN_PER_KIND:,} images each):

{others}

The unseen kinds were settled before any training; while the kinds to learn from were being chosen, their figures were looked
at, so those are a fair guide to things never seen, not a bound.

![Examples of the unseen kinds with their confidences](model_card/unseen_kinds.png)"""


def _network(figures: Figures) -> str:
    return f"""## Network

`handler/network.py`: the distance of every pixel from the paper (the mean along the border), five convolutions of 16, 32,
48, 64 and 96 channels, strides in place of pooling, and one linear layer to ten digits and "not a digit":
{figures["parameters"]:,.0f} parameters, {figures["macs"]:,.0f} multiply-accumulates for a digit. An inverted image and every constant image are the
same to it by construction. Batch normalization is folded into the convolutions, and the temperature into the last layer."""


def _training(story: dict[str, Any]) -> str:
    settings = story["configuration"]
    ranges = settings["ranges"]
    minutes = [f"{figures['minutes']:.0f}" for figures in story["seeds"].values()]
    versions = ", ".join(f"{name} {number}" for name, number in story["versions"].items())
    dirty = ", with changes that were not committed" if story["dirty"] else ""
    return f"""## Training

{settings["epochs"]} epochs of SGD with Nesterov momentum, one-cycle learning rate up to {settings["peak_learning_rate"]}, weight decay {settings["weight_decay"]}, batches of
{settings["digits_per_batch"]} digits and {settings["outliers_per_batch"]} outliers, cross entropy without label smoothing. Images are turned by up to {ranges["rotation"]:g}°, scaled by up
to {ranges["scale"]:.0%}, sheared by up to {ranges["shear"]:g}, shifted by up to {ranges["shift"]:g} pixels and bent lightly, each by a random share of that;
{settings["kept"]:.0%} of them, and all in the last {settings["clear_epochs"]} epochs, stay as they are. The weights are a moving average ({settings["average_decay"]} a
step). One temperature, {story["temperature"]:.3f}, was fitted on validation.

Seeds {", ".join(story["seeds"])} took {", ".join(minutes)} minutes, side by side with one thread each on {story["machine"]}.
These weights are seed {story["seed"]}, which has the lowest NLL on validation ({story["metrics"]["validation_nll"]:.4f}); the test digits had no say in it.
Code: commit `{story["commit"]}`{dirty}. Versions: {versions}.

![Training curves](model_card/training_curves.png)"""


def _results(figures: Figures, seeds: Sequence[Figures]) -> str:
    return f"""## Results

On the final epoch's averaged weights, as ONNX Runtime answers. A target is met when these weights and the mean over the
seeds both reach it.

{targets.table(figures, seeds)}

{details(figures)}

Moderate affine distortion: rotation within ±20°, scale 0.8 to 1.2, shear within ±0.1, shift within ±4 pixels, all uniform.

![Confusion matrix](model_card/confusion_matrix.png)

![Reliability diagram](model_card/reliability_diagram.png)

![Confidence on digits and on unseen kinds](model_card/confidence_histograms.png)

![The worst mistakes](model_card/worst_mistakes.png)"""


LIMITS = """## Limits

- MNIST's digits were written by American census workers and students in the 1990s. Other hands, such as a 1 with a long
  upstroke or a crossed 7, are rarer in it, and how well they are read has not been measured.
- A digit must stand alone, in the middle, upright, on paper of one tone. Photographs need cutting out and scaling first.
- Signs that resemble a digit (O, l, S, Z, B) are read as that digit, with the confidence that this deserves.
- An ECE below about 0.15% cannot be told from 0 on 10,000 images.
- Nothing here defends against images made to deceive the network."""


REPEAT = """## How to repeat

    scripts/train       # from nothing to the weights files and this card
    scripts/evaluate    # every figure above, from the committed weights

A seed gives the same network again on the same machine and versions; another processor rounds otherwise, and ends within the
spread of the seeds."""


def _summary(docstring: str | None) -> str:
    line = (docstring or "").splitlines()[0].rstrip(".")
    return line[0].lower() + line[1:]
