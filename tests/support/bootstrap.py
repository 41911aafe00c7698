"""Imports scripts/bootstrap of a checkout as a package, since it is not part of another one."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from mnist_torchserve.project import ROOT


def load(root: Path = ROOT) -> ModuleType:
    """Import it again, with its modules: `environment`, `packages` and the rest."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "bootstrap"]:
        del sys.modules[name]
    folder = root / "scripts" / "bootstrap"
    spec = importlib.util.spec_from_file_location("bootstrap", folder / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bootstrap"] = module
    spec.loader.exec_module(module)
    importlib.import_module("bootstrap.environment")
    return module
