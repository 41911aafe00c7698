"""Build model_store/mnist.mar from the handler, the weights and model-config.yaml, by torch-model-archiver."""

import shlex
import sys

from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.service import Archive
from . import command_line


def main() -> None:
    command_line("archive", __doc__).parse_args()
    archive = Archive()
    print(shlex.join(archive.command("model_store")), flush=True)
    try:
        archive.build()
    except ServiceError as error:
        sys.exit(str(error))
    print(f"Built {archive.path}, {archive.path.stat().st_size / 2**10:.0f} KiB")
