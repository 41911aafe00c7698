"""Repeat every figure of the model card from the committed weights, without training.

Ends with 0 if every target is met, with 1 if one is missed. With --url, asks a running service for all 10,000
test digits instead, and ends with 0 if its answers are those of the weights here. With --images, saves the test digits
as image files of several kinds, measures how well they are read, and writes that into docs/images.md.
"""

import sys
from pathlib import Path

from classifier import runtime
from mnist_torchserve.client import weights
from mnist_torchserve.project import MODEL_STORE
from mnist_torchserve.training import dataset, evaluation, export, image_accuracy, model_card, targets
from . import command_line


def main() -> int:
    """Run the command and return its exit status: 2 if it could not evaluate."""
    parser = command_line("evaluate", __doc__)
    parser.add_argument("--url", help="a deployment's, such as http://127.0.0.1:8080/predictions/mnist")
    parser.add_argument(
        "--tolerance", type=float, default=1e-4, help="of the confidence, with --url; default: %(default)s"
    )
    parser.add_argument("--images", action="store_true", help="measure digits in image files, in a minute or two")
    parser.add_argument("--idx", type=Path, metavar="FOLDER", help="read MNIST's four IDX files, download nothing")
    parser.add_argument("--weights", type=Path, default=MODEL_STORE, metavar="FOLDER")
    options = parser.parse_args()
    try:
        test = dataset.load(options.idx).test
        if options.url:
            return compare(options.url, options.weights, test, options.tolerance)
        if options.images:
            return evaluate_images(options.weights, test)
        return evaluate(options.weights, test)
    except (dataset.DatasetError, runtime.WeightsError, weights.ComparisonError) as error:
        print(f"scripts/evaluate: {error}", file=sys.stderr)
        return 2


def evaluate(folder: Path, test: dataset.Split) -> int:
    """Print all figures of the weights beside their targets; 1 if one is missed."""
    print(f"Evaluating {folder} on {len(test.labels):,} digits and as many other images …", flush=True)
    told = export.read_torch(folder)[1]
    measured = evaluation.evaluate(folder, test).figures
    figures, seeds = {**told["metrics"], **measured}, list(told["seeds"].values())
    print(targets.table(figures, seeds), model_card.details(figures), sep="\n\n")
    missed = targets.missed(figures, seeds)
    verdict = f"missed: {', '.join(missed)}" if missed else "every target met"
    print(f"\nSeed {told['seed']}, {verdict}.")
    return 1 if missed else 0


def evaluate_images(folder: Path, test: dataset.Split) -> int:
    """Measure digits in image files and write the figures down; 1 if a kind of file loses too much."""
    print(f"Reading {len(test.labels):,} digits from files of {len(image_accuracy.WAYS)} kinds …", flush=True)
    measured = []
    for found in image_accuracy.measure(runtime.load(folder, None), test):
        measured.append(found)
        name = " ".join(map(str, found.saved)) if found.saved else "floats"
        print(f"  {name:16} {found.accuracy:.2%}", flush=True)
    section = image_accuracy.report(measured, len(test.labels))
    image_accuracy.write(section)
    print(f"\n{section}\nWritten into {image_accuracy.DOCUMENT}.")
    return 1 if image_accuracy.missed(measured) else 0


def compare(url: str, folder: Path, test: dataset.Split, tolerance: float) -> int:
    """Print where the service at `url` answers unlike the weights; 1 if it does."""
    print(f"Asking {url} for {len(test.labels):,} digits …", flush=True)
    differences = weights.differences(url, runtime.load(folder, None), test.floats(), tolerance)
    for difference in differences[:10]:
        print(difference)
    print(f"{len(test.labels) - len(differences):,} of {len(test.labels):,} answers are those of {folder}.")
    return 1 if differences else 0
