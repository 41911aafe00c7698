"""End the service that scripts/serve started, its gateway first, and wait until their ports are free."""

import sys

from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.service import TorchServe
from . import command_line


def main() -> None:
    command_line("stop", __doc__).parse_args()
    try:
        ended = [service.stop() for service in (Gateway(), TorchServe())]
    except ServiceError as error:
        sys.exit(str(error))
    if any(ended):
        print("The service has ended; its ports are free.")
    else:
        print("Nothing to end: the service does not run.")
