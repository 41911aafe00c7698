"""Train the network from scratch: data, three seeds, choice, weights files, model card.

This takes about 15 minutes on two cores for MNIST. With --idx and --name, the command trains on any images in MNIST's
format, and writes the model's files to models/NAME. After an interruption, run it again to continue after the last
complete epoch.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.packaging import own_data
from mnist_torchserve.project import ROOT
from mnist_torchserve.replacement import replacement
from mnist_torchserve.service import Archive
from mnist_torchserve.training import campaign, dataset, model_card, pictures, provenance, targets
from mnist_torchserve.training.dataset import Dataset
from mnist_torchserve.training.fit import Configuration
from . import command_line, labels


def main() -> int:
    """Run the command and return its exit status: 1 if a target is missed."""
    parser = command_line("train", __doc__)
    _add_arguments(parser)
    options = parser.parse_args()
    if options.name is not None and options.idx is None:
        parser.error("expected --idx, the folder of the images, with --name")
    try:
        if options.name is not None:
            return train_on_own_data(options)
        return train_on_mnist(options, dataset.load(options.idx))
    except (dataset.DatasetError, ServiceError) as error:
        print(f"scripts/train: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        print(f"scripts/train: {error.filename} cannot be written: {error.strerror}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Run scripts/train again to continue after the last complete epoch.", file=sys.stderr)
        return 130


def train_on_mnist(options: argparse.Namespace, images: Dataset) -> int:
    configuration = Configuration(epochs=options.epochs)
    outcomes, now = train(options.seeds, configuration, images, ROOT / ".run" / "training")
    chosen = campaign.choose(outcomes)
    model_dir, docs = options.output / "model_store", options.output / "docs"
    with replacement(model_dir) as new, replacement(docs) as told_of:
        told = campaign.publish(chosen, outcomes, now, new)
        (told_of / "model_card").mkdir()
        pictures.draw(chosen, outcomes, images, told_of / "model_card")
        (told_of / "model_card.md").write_text(model_card.text(told), encoding="utf-8")
    figures = list(told["seeds"].values())
    print(targets.table(told["metrics"], figures))
    print(f"Seed {chosen.seed} has the lowest NLL on validation.")
    print(f"Wrote mnist.onnx and mnist.pt to {model_dir}, and model_card.md with its pictures to {docs}.")
    return 1 if targets.missed(told["metrics"], figures) else 0


def train_on_own_data(options: argparse.Namespace) -> int:
    archive = Archive.named(options.name)
    if archive.is_ours:
        raise dataset.DatasetError(f"{archive.name} is the name of this project's own model: choose another.")
    file, names = options.labels  # None and no names without a file
    images = dataset.of_idx(options.name, options.idx, names, labels_file=file, transpose=options.transpose)
    for remark in own_data.absent(images):
        print(f"Note: {remark}.", flush=True)
    configuration = own_data.configuration(
        images, options.epochs, options.augmentation, options.outliers, either_polarity=options.either_polarity
    )
    outcomes, now = train(options.seeds, configuration, images, ROOT / ".run" / "training" / options.name)
    told = own_data.publish(outcomes, now, images, archive.contents, names, options.pictures)
    figures = told["metrics"]
    print(f"Seed {told['seed']}: {figures['accuracy']:.2%} of the test images right, ECE {figures['ece']:.2%}.")
    for remark in told["remarks"]:
        print(f"Note: {remark}.")
    print(f"Wrote {archive.contents} and model_card.md beside it. Build its archive:")
    print(f"  scripts/archive --name {options.name}")
    return 0


def train(
    seeds: list[int], configuration: Configuration, images: Dataset, work: Path
) -> tuple[list[campaign.TrainedSeed], dict[str, Any]]:
    """Train all seeds and report progress."""
    now = provenance.begin(work / "story.json", configuration, images)
    seeds = list(dict.fromkeys(seeds))
    listed = ", ".join(map(str, seeds))
    plural = "s" * (len(seeds) != 1)
    print(f"Training seed{plural} {listed} on {len(images.train.labels):,} images, a thread each, on {now['machine']}.")
    print("Generating the images of none of the classes takes up to a minute.", flush=True)
    return campaign.run(seeds, configuration, images, work, now), now


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=_seed, nargs="+", default=[1, 2, 3], metavar="N", help="default: 1 2 3")
    parser.add_argument("--epochs", type=_positive, default=Configuration().epochs, help="default: %(default)s")
    parser.add_argument("--idx", type=Path, metavar="FOLDER", help="read four IDX files there, download nothing")
    parser.add_argument(
        "--output", type=Path, default=ROOT, metavar="FOLDER", help="where MNIST's model_store/ and docs/ are written"
    )
    own = parser.add_argument_group("images of your own")
    own.add_argument("--name", help="of the model that is trained on --idx; without a name, the images must be MNIST's")
    own.add_argument(
        "--labels", type=_labels, default=(None, []), metavar="FILE", help="names of the classes, one a line"
    )
    own.add_argument("--transpose", action="store_true", help="swap rows and columns, as EMNIST's files need it")
    own.add_argument(
        "--augmentation",
        choices=own_data.AUGMENTATIONS,
        default="light",
        help="how far images are rotated, scaled and shifted in training; default: %(default)s",
    )
    own.add_argument(
        "--outliers",
        choices=("digits", "abstract", "none"),
        default="abstract",
        help="what it learns as none of the classes: everything that is not a digit, noise and patterns, or nothing; "
        "default: %(default)s",
    )
    own.add_argument(
        "--either-polarity", action="store_true", help="treat dark on light like light on dark, as suits ink"
    )
    own.add_argument(
        "--pictures", choices=("plain", "mnist"), default="plain", help="how PNG and JPEG become 28×28; default: plain"
    )


def _labels(name: str) -> tuple[Path, list[str]]:
    return Path(name), labels(name)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to {2**32 - 1}, got {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {text!r}")
    return int(text)
