"""The checkout that this package is installed from."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODEL_STORE = ROOT / "model_store"
MODELS = ROOT / "models"  # a folder for each model that a user brings or trains
EXAMPLE = ROOT / "docs" / "seven.json"  # a request's body, that of the README's curl


def git(*words: str) -> str:
    """What git says of the checkout; nothing where there is no git, or no repository."""
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
