"""Measure every figure of the model card again, from the committed weights and without training.

With --url, it sends all 10,000 test digits to a running service instead, and compares its answers with those of the
weights here. With --images, it saves the test digits as image files of several kinds, and other digits as pictures of
every kind in docs/images.md. It measures how well they are read, and writes the figures into that page.
Exit code 0: every target is met, or all answers are equal; 1: a target is missed, or answers differ; 2: it could not
evaluate, and the message says why.
"""

import sys
from pathlib import Path

from classifier import runtime
from mnist_torchserve.client import weights
from mnist_torchserve.contract import MNIST
from mnist_torchserve.project import MODEL_STORE
from mnist_torchserve.training import dataset, evaluation, export, image_accuracy, model_card, targets
from mnist_torchserve.training.kinds import catalog, reading
from . import command_line


def main() -> int:
    """Run the command and return its exit status: 2 if it could not evaluate."""
    parser = command_line("evaluate", __doc__)
    parser.add_argument("--url", help="the service to compare, such as http://127.0.0.1:8080/predictions/mnist")
    parser.add_argument(
        "--tolerance", type=float, default=1e-4, help="for confidences, with --url (default: %(default)s)"
    )
    parser.add_argument("--images", action="store_true", help="measure digits in image files; takes two minutes")
    parser.add_argument(
        "--idx", type=Path, metavar="FOLDER", help="read MNIST from its four IDX files; download nothing"
    )
    parser.add_argument(
        "--weights", type=Path, default=MODEL_STORE, metavar="FOLDER", help="the weights files (default: model_store)"
    )
    options = parser.parse_args()
    try:
        digits = dataset.load(options.idx)
        test = digits.test
        if options.url:
            return compare(options.url, options.weights, test, options.tolerance)
        if options.images:
            return evaluate_images(options.weights, digits)
        return evaluate(options.weights, test)
    except (dataset.DatasetError, runtime.WeightsError, weights.ComparisonError) as error:
        print(f"scripts/evaluate: {error}", file=sys.stderr)
        return 2


def evaluate(folder: Path, test: dataset.Split) -> int:
    """Print all figures of the weights with their targets; return 1 if a target is missed."""
    _require_mnists(folder)
    print(f"Evaluating {folder} on {len(test.labels):,} digits and as many other images …", flush=True)
    told = export.read_torch(folder)[1]
    measured = evaluation.evaluate(folder, test).figures
    figures, seeds = {**told["metrics"], **measured}, list(told["seeds"].values())
    print(targets.table(figures, seeds), model_card.details(figures), sep="\n\n")
    missed = targets.missed(figures, seeds)
    verdict = f"missed: {', '.join(missed)}" if missed else "every target is met"
    print(f"\nSeed {told['seed']}, {verdict}.")
    return 1 if missed else 0


def evaluate_images(folder: Path, digits: dataset.Dataset) -> int:
    """Measure digits in image files and write the figures down; return 1 if a kind loses too much."""
    _require_mnists(folder)
    model, test = runtime.load(folder, None), digits.test
    print(f"Reading {len(test.labels):,} digits from files of {len(image_accuracy.WAYS)} kinds …", flush=True)
    measured = []
    for found in image_accuracy.measure(model, test):
        measured.append(found)
        name = " ".join(map(str, found.saved)) if found.saved else "floats"
        print(f"  {name:16} {found.accuracy:.2%}", flush=True)
    shown = reading.digits(digits.validation)
    print(f"Reading {len(shown.labels)} digits from pictures of {len(catalog.KINDS)} kinds …", flush=True)
    readings = []
    for kind in catalog.KINDS:
        readings.append(reading.read(kind, shown, model))
        print(f"  {kind.name:42} {readings[-1].right:.1%}, surely wrong {readings[-1].surely_wrong:.1%}", flush=True)
    section = f"{image_accuracy.report(measured, len(test.labels))}\n{reading.report(readings, len(shown.labels))}"
    image_accuracy.write(section)
    print(f"\n{section}\nWritten: {image_accuracy.DOCUMENT}")
    missed = [each.kind.name for each in readings if not each.is_good]
    if missed:
        print(f"Below their targets: {', '.join(missed)}.")
    return 1 if missed or image_accuracy.missed(measured) else 0


def compare(url: str, folder: Path, test: dataset.Split, tolerance: float) -> int:
    """Print where the answers of the service at `url` differ from those of the weights; return 1 if any do."""
    print(f"Sending {len(test.labels):,} digits to {url} …", flush=True)
    differences = weights.differences(url, runtime.load(folder, None), test.floats(), tolerance)
    for difference in differences[:10]:
        print(difference)
    print(f"{len(test.labels) - len(differences):,} of {len(test.labels):,} answers equal those of {folder}.")
    return 1 if differences else 0


def _require_mnists(folder: Path) -> None:
    if (name := runtime.load(folder, None).metadata["name"]) != MNIST:
        raise runtime.WeightsError(
            folder,
            f"holds the weights of {name}, not of MNIST's model",
            "Its figures are in the model_card.md beside its archive. With --url, its answers are compared.",
        )
