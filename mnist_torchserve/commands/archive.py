"""Build a model's archive: MNIST's, model_store/mnist.mar, or with --name the archive of your own network.

Give a class and its weights (--model-file or --model, and --weights), or an ONNX file (--onnx). The command finds out
the input and output by trying, exports the network, compares the results, and writes the contents of the archive to
models/NAME. With only --name, it builds the archive again from there. The code of your class runs with your rights.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.service import Archive
from . import command_line, labels, tell
from .serve import commands_to_serve

_SHAPES = {"784": (784,), "28x28": (28, 28), "1x28x28": (1, 28, 28)}
_MEANINGS = ("logits", "log-probabilities", "probabilities")
_CLASS = ("--model-file", "--model")
_NEEDS = {  # what an option says something about: one of these
    "--model-class": ("--model-file",),
    "--model-args": _CLASS,
    "--weights": _CLASS,
    "--transpose": ("--calibrate",),
    **dict.fromkeys(
        ("--input-shape", "--output", "--normalize", "--dark-on-light", "--labels", "--pictures", "--calibrate"),
        (*_CLASS, "--onnx"),
    ),
}


def main() -> None:
    parser = command_line("archive", __doc__)
    _add_arguments(parser)
    options = parser.parse_args()
    _refuse_ignored(parser, options)
    brings = [option for option in (options.model_file, options.model, options.onnx) if option is not None]
    if len(brings) > 1:
        parser.error("expected one of --model-file, --model and --onnx")
    if brings and options.name is None:
        parser.error("expected --name with a network that you bring")
    try:
        archive = Archive() if options.name is None else Archive.named(options.name)
        if brings:
            pack(options, archive)
            tell(f"Wrote {archive.contents} and the model card beside it.")
        archive.require()
        tell(shlex.join(archive.command("model_store")))
        archive.build()
    except ServiceError as error:
        sys.exit(str(error))
    tell(f"Built {archive.path}, {archive.path.stat().st_size / 2**10:.0f} KiB")
    if options.name is not None:
        tell("\n  ".join(["Serve it:", *commands_to_serve(archive.name)]))


def pack(options: argparse.Namespace, archive: Archive) -> None:
    """Write the contents of the archive of the user's network. ServiceError if it cannot be used."""
    # These packages are only installed for a user's own network.
    from mnist_torchserve.packaging.errors import PackagingError  # noqa: PLC0415
    from mnist_torchserve.packaging.package import Brought, package  # noqa: PLC0415
    from mnist_torchserve.packaging.source import Source  # noqa: PLC0415
    from mnist_torchserve.training.idx import DatasetError  # noqa: PLC0415

    if archive.is_ours:
        raise ServiceError(f"{archive.name} is the name of this project's own model: choose another.")
    mean, std = _normalization(*options.normalize)
    try:
        network: Source | Path
        if options.onnx is not None:
            network = options.onnx
        elif options.model is not None:
            network = Source.of_name(options.model, Path.cwd())
        else:
            network = Source.of_file(options.model_file, options.model_class)
        brought = Brought(
            name=archive.name,
            network=network,
            weights=options.weights,
            arguments=options.model_args,
            shape=options.input_shape and _SHAPES[options.input_shape],
            meaning=options.output,
            mean=mean,
            std=std,
            inverted=options.dark_on_light,
            labels=labels(options.labels) if options.labels else [],
            labels_file=options.labels,
            pictures=options.pictures,
            validation=options.calibrate,
            transpose=options.transpose,
        )
        package(brought, archive.contents, tell)
    except (PackagingError, DatasetError, argparse.ArgumentTypeError) as error:
        raise ServiceError(str(error)) from None
    except OSError as error:
        if error.filename is None:
            raise
        raise ServiceError(f"{error.filename} cannot be written: {error.strerror}.") from None


def _refuse_ignored(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    left_out = argparse.Namespace(**dict.fromkeys(vars(options), None))
    given = {name for name, value in vars(parser.parse_args(namespace=left_out)).items() if value is not None}
    for option, needed in _NEEDS.items():
        if _attribute(option) in given and not given & set(map(_attribute, needed)):
            *others, last = needed
            parser.error(f"{option} needs {', '.join(others)}{' or ' if others else ''}{last}")


def _attribute(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _normalization(mean: float, std: float) -> tuple[float, float]:
    """Check the mean and standard deviation of pixels from 0 to 1."""
    if not std > 0:
        raise ServiceError(f"Expected a standard deviation above 0 in --normalize, got {std:g}.")
    if mean > 1 or std > 1:
        raise ServiceError(
            f"Expected the mean and standard deviation of pixels from 0 to 1 in --normalize, got {mean:g} {std:g}. If "
            f"they are of pixels from 0 to 255, use --normalize {mean / 255:.6g} {std / 255:.6g}."
        )
    if not mean >= 0:
        raise ServiceError(f"Expected a mean from 0 to 1 in --normalize, got {mean:g}.")
    return mean, std


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", help="the model's name in the service's routes; default: mnist")
    code = parser.add_argument_group("the network")
    code.add_argument("--model-file", type=Path, metavar="FILE", help="Python file with its class, an nn.Module")
    code.add_argument("--model", metavar="MODULE:CLASS", help="its class in a package, such as my_project.model:Net")
    code.add_argument("--model-class", metavar="NAME", help="the class in --model-file, if there are several")
    code.add_argument(
        "--model-args", type=_arguments, default={}, metavar="JSON", help="""its arguments: '{"num_classes": 10}'"""
    )
    code.add_argument("--weights", type=Path, metavar="FILE", help="its state_dict, or a checkpoint that holds one")
    code.add_argument("--onnx", type=Path, metavar="FILE", help="an ONNX file instead of class and weights")
    found = parser.add_argument_group("what it takes and gives")
    found.add_argument("--input-shape", choices=_SHAPES, help="of an image; default: found by trying")
    found.add_argument("--output", choices=_MEANINGS, help="default: found by trying")
    found.add_argument(
        "--normalize",
        type=float,
        nargs=2,
        default=(0.0, 1.0),
        metavar=("MEAN", "STD"),
        help="of its training pixels, often 0.1307 0.3081; default: pixels from 0 to 1 as they are",
    )
    found.add_argument(
        "--dark-on-light", action="store_true", help="it was trained on dark ink on light paper; default: light on dark"
    )
    found.add_argument("--labels", metavar="FILE", help="names of its classes, one a line")
    found.add_argument(
        "--pictures",
        choices=("plain", "mnist"),
        default="plain",
        help="how PNG and JPEG become 28×28: scaled as a whole, or a digit's ink centred as MNIST's; "
        "default: %(default)s",
    )
    found.add_argument("--calibrate", type=Path, metavar="FOLDER", help="fit its confidence to IDX validation images")
    found.add_argument("--transpose", action="store_true", help="those images are transposed, as EMNIST's are")


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected JSON, got {text!r}: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object of arguments by name, got {text!r}")
    return value
