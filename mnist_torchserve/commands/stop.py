"""Stop the service that scripts/serve started, with its gateway, and wait until their ports are free."""

import sys

from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.service import TorchServe
from . import command_line


def main() -> None:
    command_line("stop", __doc__).parse_args()
    ended, problems = [], []
    for service in (Gateway(), TorchServe()):
        try:
            ended.append(service.stop())
        except (ServiceError, OSError) as error:  # the other one is stopped all the same
            problems.append(f"{service.name} was not stopped: {error}")
    if problems:
        sys.exit("\n".join(problems))
    print("The service has ended; its ports are free." if any(ended) else "Nothing to end: the service does not run.")
