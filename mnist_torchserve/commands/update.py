"""Replace the running model with the one in this checkout, without an interruption at the gateway.

A second TorchServe takes over while the first restarts with a newly built archive. If the new model does not load, the
old one keeps serving. If the first TorchServe does not come back, the second keeps serving.
Exit code 0: every node has the new model. 1: the update failed; the message says why.
"""

import sys

from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.gateway import Gateway, Node
from mnist_torchserve.service import Archive, TorchServe
from . import command_line, tell
from .serve import commands_to_serve


def main() -> None:
    command_line("update", __doc__).parse_args()
    try:
        server = TorchServe()
        serving = server.standby() if server.standby().process() is not None else server
        update(TorchServe(models=serving.models))
    except ServiceError as error:
        sys.exit(str(error))
    tell("The service has the new model.")


def update(server: TorchServe) -> None:
    gateway, second = Gateway(server), server.standby()
    if gateway.settings.nodes:
        raise ServiceError(
            "The nodes are on other machines. For each in turn: take it out of settings.toml, run scripts/reload, "
            "restart it, put it back, and run scripts/reload again."
        )
    if gateway.process() is None and server.process() is not None:
        commands = " and ".join(f"`{command}`" for command in commands_to_serve(server.models[0]))
        raise ServiceError(f"A model can be replaced while it runs only behind the gateway: use {commands} instead.")
    if gateway.process() is None or (server.process() or second.process()) is None:
        raise ServiceError("There is nothing to update: start the service with scripts/serve --gateway.")
    for model in server.models:
        Archive.named(model).build_if_outdated()
    try:
        if server.process() is not None:  # otherwise the second serves, after a failed update
            gateway.route(Node.of(server))
            second.stop()
            tell("Starting a second TorchServe with the new model")
            second = TorchServe.on_free_ports(
                second.home, load_models=",".join(f"{model}.mar" for model in server.models)
            )
            second.start()
            second.wait_ready()
            gateway.route(Node.of(server), Node.of(second))
            tell("It takes over")
            gateway.route(Node.of(server, draining=True), Node.of(second))
        tell("Restarting the first")
        server.restart()
        gateway.route(Node.of(server), Node.of(second))
        gateway.route(Node.of(server), Node.of(second, draining=True))
    finally:
        settle(gateway, server, second)


def settle(gateway: Gateway, server: TorchServe, second: TorchServe) -> None:
    """Let only the first serve, or only the second if the first does not come back."""
    try:
        if server.process() is None:
            server.restart()
        gateway.route(Node.of(server))
    except ServiceError as error:
        raise ServiceError(
            f"{error} A second TorchServe serves instead: scripts/update tries again, scripts/stop ends it."
        ) from None
    second.stop()
