"""TorchServe as a process: the archive that it serves, its settings, its start, its health, its end."""

from .archive import Archive
from .properties import CONFIG, read_properties
from .torchserve import TorchServe

__all__ = ["CONFIG", "Archive", "TorchServe", "read_properties"]
