"""TorchServe's settings, config.properties."""

from collections.abc import Mapping
from pathlib import Path

from mnist_torchserve.ports import free_ports
from mnist_torchserve.project import ROOT

CONFIG = ROOT / "config.properties"


def read_properties(path: Path = CONFIG) -> dict[str, str]:
    """The settings of a .properties file."""
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, value in pairs}


def write_on_free_ports(folder: Path, settings: Mapping[str, str]) -> Path:
    """Write settings as a config.properties into `folder`, on free ports where they name none."""
    inference, management, metrics, grpc_inference, grpc_management = free_ports(5)
    free = {
        "inference_address": f"http://127.0.0.1:{inference}",
        "management_address": f"http://127.0.0.1:{management}",
        "metrics_address": f"http://127.0.0.1:{metrics}",
        "grpc_inference_port": str(grpc_inference),
        "grpc_management_port": str(grpc_management),
    }
    file = folder / "config.properties"
    file.write_text("".join(f"{key}={value}\n" for key, value in {**free, **settings}.items()))
    return file
