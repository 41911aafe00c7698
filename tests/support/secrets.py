"""Files that only their user can read, as the gateway requires."""

from pathlib import Path


def write_secret(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path
