"""Give the running gateway its settings again, without an interruption: keys, certificates, nodes and page.

Exit code 0: it uses them; 1: it does not, and the message says why. What it refuses changes nothing.
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
    print("The gateway uses its settings as they are now.")
