"""The model card's pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray
from classifier.types import SIDE
from . import metrics
from .campaign import TrainedSeed
from .dataset import Dataset, Split
from .evaluation import unseen_images

_LONGEST, _LONGEST_CAPTION = 24, 13  # characters of a class's name
_MOST = 30  # classes in a confusion matrix that can still be read
_WORST = 20  # of more classes
_FEW = 10  # epochs, which need marks to be seen
INK, ACCENT, PALE = "#1f3a5f", "#c8553d", "#9db4c0"
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=[INK, ACCENT, PALE, "#6a994e", "#7b5ea7"]),
    "figure.constrained_layout.use": True,
}


def draw(
    chosen: TrainedSeed, outcomes: Sequence[TrainedSeed], dataset: Dataset, folder: Path, what: str = "digits"
) -> None:
    """Write all pictures into `folder` as PNG. `what` names what the test images show."""
    test = dataset.test
    names, short = (
        [_shown(index, name, longest) for index, name in enumerate(dataset.labels)]
        for longest in (_LONGEST, _LONGEST_CAPTION)
    )
    with mpl.rc_context(STYLE):
        figures = {
            "training_curves": _training_curves(outcomes, what),
            "confusion_matrix": _confusion_matrix(chosen.evaluation.probabilities, test, what, names),
            "reliability_diagram": _reliability_diagram(chosen.evaluation.probabilities, test, what),
            "confidence_histograms": _confidence_histograms(chosen, what),
            "worst_mistakes": _worst_mistakes(chosen.evaluation.probabilities, test, what, short),
            "unseen_kinds": _unseen_kinds(chosen, test),
        }
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})


def _training_curves(outcomes: Sequence[TrainedSeed], what: str) -> Figure:
    figure = Figure((9, 3.6))
    left, right = figure.subplots(1, 2)
    for outcome in outcomes:
        epochs = np.arange(1, len(outcome.history) + 1)
        style: Any = {"label": f"seed {outcome.seed}", "marker": "o" if len(epochs) <= _FEW else None}
        left.plot(epochs, [epoch.nll for epoch in outcome.history], **style)
        right.plot(epochs, [epoch.error * 100 for epoch in outcome.history], **style)
    # The average starts from random weights, so the first epochs are far above these limits.
    for axes, title, limits in ((left, "NLL on validation", (0.01, 0.1)), (right, "error on validation, %", (0.2, 2))):
        axes.set(title=title, xlabel="epoch")
        if what == "digits":
            axes.set(yscale="log", ylim=limits)
        else:
            _fit(axes)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.tick_params(axis="y", which="minor", labelsize=7)
        axes.legend(frameon=False)
    return figure


def _fit(axes: Axes) -> None:
    """Show curves of any length and height whole, with a few round numbers beside them."""
    epochs, values = np.concatenate([line.get_xydata() for line in axes.lines]).T
    axes.set_xlim(0.5, epochs.max() + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if values.min() > 0:
        axes.set(yscale="log", ylim=(values.min() / 2, values.max() * 2))
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    else:
        axes.set_ylim(0, max(values.max() * 1.1, 1))


def _confusion_matrix(probabilities: NDArray[np.float32], test: Split, what: str, names: Sequence[str]) -> Figure:
    counts = np.zeros((probabilities.shape[1],) * 2, int)
    np.add.at(counts, (test.labels, probabilities.argmax(1)), 1)
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    title = f"{wrong.sum()} of {counts.sum():,} test {what} wrong"
    if len(counts) > _MOST:
        worst = np.sort(np.argsort(-wrong.sum(0) - wrong.sum(1), kind="stable")[:_WORST])
        group = np.eye(len(counts), dtype=int)[:, worst]  # (K, classes that are shown)
        group = np.column_stack([group, 1 - group.sum(1)])
        counts, wrong = group.T @ counts @ group, group.T @ wrong @ group
        wrong[-1, -1] = 0  # this field has all that the others read correctly as well
        title += f": the {_WORST} of {len(names)} classes with the most mistakes"
        names = [*(names[index] for index in worst), "others"]
    side = max(5.2, 0.4 * len(counts))
    figure = Figure((side + 0.4, side))
    axes = figure.subplots()
    axes.imshow(wrong, cmap="Reds", vmax=max(wrong.max() * 1.6, 1))
    for (row, column), count in np.ndenumerate(counts):
        if count:
            weight = "normal" if row == column else "bold"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8.5, weight=weight)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_xticks(range(len(counts)), names, rotation=90 if _are_long(names) else 0)
    axes.set_yticks(range(len(counts)), names)
    axes.set_title(title)
    axes.grid(visible=False)
    return figure


def _reliability_diagram(probabilities: NDArray[np.float32], test: Split, what: str) -> Figure:
    confidence, right, counts = metrics.reliability(probabilities, test.labels)
    figure = Figure((5.6, 5.4))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], "--", color=PALE, label="perfect calibration")
    error = np.sqrt(confidence * (1 - confidence) / np.maximum(counts, 1))
    upper.errorbar(confidence, right, error, fmt="o", color=INK, capsize=3, label="bins, ± one standard error")
    upper.set(ylabel="share right", title=f"Test {what}, ECE {metrics.ece(probabilities, test.labels):.2%}")
    upper.set_ylim(-0.05, 1.05)
    upper.legend(frameon=False, loc="lower right")
    edges = np.linspace(0, 1, metrics.BINS + 1)
    bars = lower.bar(edges[:-1], counts, np.diff(edges), align="edge", color=INK, edgecolor="white")
    lower.bar_label(bars, fontsize=7)
    lower.set(yscale="log", ylim=(0.7, 9e4), xlabel="confidence", ylabel=what, xlim=(0, 1.02))
    return figure


def _confidence_histograms(chosen: TrainedSeed, what: str) -> Figure:
    digits = chosen.evaluation.probabilities.max(1)
    kinds = {f"test {what}": digits, **chosen.evaluation.unseen}
    figure = Figure((8, 5.6))
    rows: Sequence[Axes] = figure.subplots(len(kinds), 1, sharex=True)
    for axes, (kind, confidence) in zip(rows, kinds.items(), strict=True):
        colour = INK if confidence is digits else ACCENT
        shares = np.full(len(confidence), 100 / len(confidence))
        axes.hist(confidence, bins=50, range=(0, 1), weights=shares, color=colour)
        axes.set(yscale="log", ylim=(0.01, 150), yticks=[0.01, 1, 100])
        axes.yaxis.set_major_formatter("{x:g} %")
        axes.set_title(f"{kind}: mean confidence {confidence.mean():.3f}", loc="left", fontsize=10)
    rows[-1].set(xlabel="confidence", xlim=(0, 1))
    return figure


def _worst_mistakes(probabilities: NDArray[np.float32], test: Split, what: str, names: Sequence[str]) -> Figure:
    shown = np.argsort(probabilities[np.arange(len(test.labels)), test.labels])[:32]
    between = "\nas " if _are_long(names) else " read as "
    pairs = [between.join((names[test.labels[i]], names[probabilities[i].argmax()])) for i in shown]
    captions = [f"{pair}\n{probabilities[i].max():.2f}" for pair, i in zip(pairs, shown, strict=True)]
    title = f"The test {what} that got their label's lowest probabilities"
    return _gallery(test.pixels[shown], captions, columns=8, title=title)


def _unseen_kinds(chosen: TrainedSeed, test: Split) -> Figure:
    images, captions = [], []
    for kind, drawn in unseen_images(test.floats()).items():
        confidence = chosen.evaluation.unseen[kind]
        for index in (*range(6), *np.argsort(confidence)[:-7:-1]):
            images.append(drawn[index])
            captions.append(f"{confidence[index]:.2f}")
    title = "Of each unseen kind: the first six, and the six with the highest confidence"
    return _gallery(np.stack(images), captions, columns=12, title=title)


def _shown(index: int, name: str, longest: int) -> str:
    """Return a class's name as a picture can show it, with its number if it is cut or lacks a character."""
    font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    if not all(font.get_char_index(ord(character)) for character in name):
        return str(index)
    shown = name if len(name) <= longest else f"{index}: {name[: longest - 4]}…"
    return shown.replace("$", r"\$")  # else it begins a formula


def _are_long(names: Sequence[str]) -> bool:
    return any(len(name) > 2 for name in names)


def _gallery(images: NDArray[np.generic], captions: Sequence[str], columns: int, title: str) -> Figure:
    rows = -(-len(images) // columns)
    lines = max(caption.count("\n") for caption in captions)  # besides the first
    figure = Figure((columns * 1.05, rows * (1.3 + 0.15 * lines) + 0.4))
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        axes = figure.add_subplot(rows, columns, index + 1)
        axes.imshow(image.reshape(SIDE, SIDE), cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
        axes.set_axis_off()
        axes.set_title(caption, fontsize=8)
    figure.suptitle(title)
    return figure
