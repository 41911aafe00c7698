"""One small network of somebody's, and how it is packed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mnist_torchserve.packaging.package import Brought, package
from mnist_torchserve.packaging.source import Source
from tests.packaging.linear import LINEAR, Pack, linear


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Pack a file and weights; return what was said."""

    def pack(source: str = LINEAR, saved: Any = None, class_name: str | None = None, **said: Any) -> str:
        file, weights = tmp_path / "my_net.py", tmp_path / "model.pth"
        file.write_text(source)
        torch.save(linear() if saved is None else saved, weights)
        heard: list[str] = []
        brought = Brought(name="net", network=Source.of_file(file, class_name), weights=weights, **said)
        package(brought, tmp_path / "packed" / "archive", heard.append)
        return "\n".join(heard)

    return pack
