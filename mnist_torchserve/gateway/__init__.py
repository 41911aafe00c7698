"""Envoy in front of TorchServe: its settings, its configuration, its process, and the page to draw on."""

from .process import Gateway
from .settings import Node, Settings, SettingsError

__all__ = ["Gateway", "Node", "Settings", "SettingsError"]
