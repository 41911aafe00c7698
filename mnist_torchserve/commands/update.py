"""Replace the running model by the one in this checkout, without an interruption at the gateway.

A second TorchServe takes over while the first restarts with a newly built archive. If the new model does not load, the
old one has never stopped.
Exit code 0: every node has the new model; 1: it has not, and the message says why.
"""

import sys
import tempfile
from pathlib import Path

from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.gateway import Gateway, Node
from mnist_torchserve.service import Archive, TorchServe
from . import command_line


def main() -> None:
    command_line("update", __doc__).parse_args()
    try:
        update(TorchServe())
    except ServiceError as error:
        sys.exit(str(error))
    print("The service has the new model.")


def update(server: TorchServe) -> None:
    gateway = Gateway(server)
    if gateway.settings.nodes:
        raise ServiceError("The nodes are elsewhere: take them out of settings.toml, restart and put back in turn.")
    if server.process() is None or gateway.process() is None:
        raise ServiceError("There is nothing to update: start the service with scripts/serve --gateway.")
    Archive().build_if_outdated()
    print("Starting a second TorchServe with the new model", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="mnist-") as folder,
        TorchServe.on_free_ports(Path(folder)).running() as second,
    ):
        take_turns(gateway, server, second)


def take_turns(gateway: Gateway, server: TorchServe, second: TorchServe) -> None:
    """Let a second server do the work while the first restarts."""
    gateway.route(Node.of(server), Node.of(second))
    print("It takes over", flush=True)
    gateway.route(Node.of(server, draining=True), Node.of(second))
    print("Restarting the first", flush=True)
    server.restart()
    gateway.route(Node.of(server), Node.of(second))
    gateway.route(Node.of(server), Node.of(second, draining=True))
    gateway.route(Node.of(server))
