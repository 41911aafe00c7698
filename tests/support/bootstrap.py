"""scripts/bootstrap.py of a checkout as a module; it is no part of any package."""

import importlib.util
from pathlib import Path
from types import ModuleType

from mnist_torchserve.project import ROOT


def load(root: Path = ROOT) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", root / "scripts" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
