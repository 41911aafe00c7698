"""TorchServe as a process: its archive, settings, start, health and end."""

from .archive import Archive
from .properties import CONFIG, read_properties
from .torchserve import TorchServe

__all__ = ["CONFIG", "Archive", "TorchServe", "read_properties"]
