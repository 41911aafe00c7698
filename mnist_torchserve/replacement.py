"""Replaces what is in a folder, all at once or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path


@contextmanager
def replacement(folder: Path) -> Iterator[Path]:
    """Yield an empty folder. At the end of the block, what is in it takes the place of what has its names in `folder`.

    After an error or an interruption, `folder` is as it was before, and not there if it was not there or was empty.

    Raises:
        OSError: `folder` cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as parent:
            new, old = Path(parent, "new"), Path(parent, "old")
            new.mkdir()
            old.mkdir()
            yield new
            with ExitStack() as undo:
                for written in list(new.iterdir()):
                    place, kept = folder / written.name, old / written.name
                    undo.callback(_put_back, written, place, kept)
                    if os.path.lexists(place):
                        place.rename(kept)
                    written.rename(place)
                undo.pop_all()
    except OSError as error:
        if error.filename is not None and not Path(error.filename).is_relative_to(folder):
            raise
        raise OSError(error.errno, error.strerror, str(folder)) from error
    finally:
        with suppress(OSError):  # it is not empty
            folder.rmdir()


def _put_back(written: Path, place: Path, kept: Path) -> None:
    if not written.exists():
        place.rename(written)
    if os.path.lexists(kept):
        kept.rename(place)
