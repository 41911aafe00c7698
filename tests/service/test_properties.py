"""Which models the settings of TorchServe name."""

import json
import zipfile
from pathlib import Path

import pytest
from mnist_torchserve.service import properties


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two versions of a model, and another one."""
    for file, name in (("shoes.mar", "shoes"), ("shoes-2.0.mar", "shoes"), ("letters.mar", "letters")):
        with zipfile.ZipFile(tmp_path / file, "w") as archive:
            archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": {"modelName": name}}))
    return tmp_path


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("shoes.mar", ["shoes"]),
        ("letters.mar, shoes.mar", ["letters", "shoes"]),
        ("shoes.mar,shoes-2.0.mar", ["shoes"]),
        ("boots=shoes.mar", ["boots"]),
        ("elsewhere.mar", ["elsewhere"]),
        ("all", ["letters", "shoes"]),
        ("", []),
    ],
)
def test_models_have_the_names_that_torchserve_gives_them(store: Path, listed: str, expected: list[str]) -> None:
    assert properties.models({"load_models": listed}, store) == expected
