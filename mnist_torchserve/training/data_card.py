"""Writes the card of a model trained on a user's own images, from the record in the weights file."""

from typing import Any

from mnist_torchserve import markdown
from . import unseen

_FIGURES = {
    "accuracy": ("accuracy", ".2%"),
    "nll": ("negative log likelihood (NLL)", ".4f"),
    "brier": ("Brier score, summed over classes", ".5f"),
    "ece": ("expected calibration error (ECE), 15 bins", ".2%"),
    "confidence_digits": ("mean confidence", ".4f"),
    "confidence_constants": ("highest confidence, any of the 256 constant levels", ".4f"),
    "confidence_noise": ("highest confidence, images of uniform noise", ".4f"),
    "unseen_auroc": ("telling the test images from unseen kinds: AUROC", ".4f"),
    "unseen_fpr95": ("unseen kinds: false positives at 95% recall", ".2%"),
    "parity": ("largest difference between ONNX Runtime and torch", ".1e"),
}
_PICTURES = {
    "training_curves": "NLL and error on validation, epoch by epoch",
    "confusion_matrix": "Confusion matrix of the test images",
    "reliability_diagram": "Reliability diagram of the test images",
    "confidence_histograms": "Confidence on test images and on unseen kinds",
    "worst_mistakes": "The worst mistakes on the test images",
    "unseen_kinds": "Examples of the unseen kinds with their confidences",
}


def text(story: dict[str, Any]) -> str:
    """Return the whole card in Markdown. Every figure in it comes from `story`."""
    data, settings, figures = story["data"], story["configuration"], story["metrics"]
    rows = [[title, format(figures[name], shape)] for name, (title, shape) in _FIGURES.items()]
    polarity = "It treats light on dark and dark on light alike." if settings["either_polarity"] else ""
    ranges = settings["ranges"]
    epochs = f"{settings['epochs']} epoch{'s' * (settings['epochs'] != 1)}"
    kinds = settings["outlier_kinds"]
    others = "" if kinds == "none" else f'It learned "none of these" from images of the kind `{kinds}`.'
    remarks = "".join(f"{remark[0].upper()}{remark[1:]}.\n\n" for remark in story["remarks"])
    return f"""# Model card: {story["name"]}

Tells {len(story["classes"])} classes apart in a 28×28 grey image: {", ".join(story["classes"])}. {polarity}

Written by `scripts/train` on {story["created"][:10]}, on {story["machine"]}.

{remarks}## Data

{data["source"]}: {data["train"]:,} images for training, {data["validation"]:,} to fit the temperature and to choose
the seed, and {data["test"]:,} for the test. SHA-256 of pixels and labels: `{data["sha256"]}`.

## Training

{epochs}, seed {story["seed"]} of {", ".join(story["seeds"])}. Images are rotated by up to
{ranges["rotation"]:g}°, scaled by up to {ranges["scale"]:.0%}, sheared by up to {ranges["shear"]:g} and shifted by
up to {ranges["shift"]:g} pixels. {others}
Temperature: {story["temperature"]:.3f}, folded into the last layer.

## Results on the test images

{markdown.table(["figure", "value"], rows)}

`confidence` is the probability that the image shows that class. The rest of the probability is spread over the other
classes and "none of these". The unseen kinds, {", ".join(unseen.KINDS)}, were not used in training.

{chr(10).join(f"![{caption}](model_card/{name}.png)" + chr(10) for name, caption in _PICTURES.items())}"""
