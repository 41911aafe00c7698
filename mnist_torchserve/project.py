"""The checkout that this package is installed from."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODEL_STORE = ROOT / "model_store"
EXAMPLE = ROOT / "docs" / "seven.json"  # a request's body, that of the README's curl
