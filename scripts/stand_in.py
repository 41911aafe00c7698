"""A second TorchServe beside the usual one: the same settings, but for its ports, and a folder of its own."""

from pathlib import Path

from environment import ROOT
from ports import free_ports
from server import Server


def stand_in(home: Path, **changes: str) -> Server:
    """A server with our config.properties on free ports, not started yet.

    Args:
        home: an empty folder for its settings, its state and its logs.
        changes: further settings, by their names in config.properties.

    """
    inference, management, metrics, grpc_inference, grpc_management = free_ports(5)
    changes = {
        "inference_address": f"http://127.0.0.1:{inference}",
        "management_address": f"http://127.0.0.1:{management}",
        "metrics_address": f"http://127.0.0.1:{metrics}",
        "grpc_inference_port": str(grpc_inference),
        "grpc_management_port": str(grpc_management),
        **changes,
    }
    usual = (ROOT / "config.properties").read_text().splitlines()
    kept = [line for line in usual if line.partition("=")[0] not in changes]
    config = home / "config.properties"
    config.write_text("\n".join([*kept, *(f"{key}={value}" for key, value in changes.items())]))
    return Server(config, home)
