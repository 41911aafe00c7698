"""What is written in a folder replaces what was there, or leaves it as it was."""

import errno
import re
from contextlib import suppress
from pathlib import Path

import pytest
from mnist_torchserve.replacement import replacement


def contents(folder: Path) -> dict[str, str]:
    return {file.relative_to(folder).as_posix(): file.read_text() for file in folder.rglob("*") if file.is_file()}


def write(folder: Path, text: str, *more: str) -> None:
    (folder / "archive").mkdir(parents=True)
    for name in ("archive/weights", "card.md", *more):
        (folder / name).write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "model", "old", "archive/left", "notes")
    return tmp_path / "model"


def test_what_was_written_takes_the_place_of_what_was_there(folder: Path) -> None:
    with replacement(folder) as new:
        write(new, "new")
        assert contents(folder)["archive/weights"] == "old"
    assert contents(folder) == {"archive/weights": "new", "card.md": "new", "notes": "old"}
    assert sorted(path.name for path in folder.iterdir()) == ["archive", "card.md", "notes"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, ValueError])
def test_error_while_it_is_written_leaves_what_was_there(folder: Path, error: type[BaseException]) -> None:
    before = contents(folder)
    with pytest.raises(error), replacement(folder) as new:  # noqa: PT012 - where it is raised is the point
        write(new, "new")
        raise error
    assert contents(folder) == before
    assert sorted(path.name for path in folder.iterdir()) == ["archive", "card.md", "notes"]


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 5))
def test_interruption_at_any_step_of_the_exchange_leaves_what_was_there(
    monkeypatch: pytest.MonkeyPatch, folder: Path, number: int, is_done: bool
) -> None:
    before, usual, steps = contents(folder), Path.rename, 0

    def rename(path: Path, target: Path) -> Path:
        nonlocal steps
        steps += 1
        if steps == number and not is_done:
            raise KeyboardInterrupt
        usual(path, target)
        if steps == number:
            raise KeyboardInterrupt
        return target

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt), replacement(folder) as new:
        write(new, "new")
    assert contents(folder) == before


def test_full_disk_is_said_with_the_folder(folder: Path) -> None:
    for name in ([], [str(folder / "file")]):
        full = OSError(errno.ENOSPC, "No space left on device", *name)
        with pytest.raises(OSError, match=re.escape(f"No space left on device: '{folder}'")), replacement(folder):
            raise full


def test_interrupted_first_time_leaves_nothing(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), replacement(tmp_path / "models" / "new") as new:
        write(new, "new")
        raise KeyboardInterrupt
    assert not (tmp_path / "models" / "new").exists()
