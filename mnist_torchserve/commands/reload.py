"""Make the running gateway read its settings again, without an interruption: keys, certificates, nodes and page.

Exit code 0: it uses them; 1: it refused them and keeps its old settings, and the message says why.
"""

import sys

from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.service import TorchServe
from . import command_line


def main() -> None:
    command_line("reload", __doc__).parse_args()
    try:
        Gateway(TorchServe()).route()
    except ServiceError as error:
        sys.exit(str(error))
    print("The gateway has read its settings again and uses them.")
