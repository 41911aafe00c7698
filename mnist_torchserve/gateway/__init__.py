"""Envoy in front of TorchServe: its settings, its configuration, its process, and the page to draw on."""

from .process import Gateway
from .settings import Address, Node, Settings, SettingsError

__all__ = ["Address", "Gateway", "Node", "Settings", "SettingsError"]
