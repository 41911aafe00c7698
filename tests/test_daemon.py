"""The file that remembers a process: what it says is believed only where it can be true."""

import json
import stat
from pathlib import Path

import psutil
import pytest
from mnist_torchserve.daemon import StateFile


@pytest.fixture
def state(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "home" / "state.json")


def test_files_of_a_process_are_for_its_user_alone(state: StateFile, tmp_path: Path) -> None:
    with state.starting():
        state.remember(psutil.Process(), [], str(tmp_path / "temporary"))
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    assert state.process() == psutil.Process()


# Whatever has the folder's path among its words is ended with the process: an empty one is in all of them.
@pytest.mark.parametrize("temporary", ["", "/", ".", "a/b/c", "/tmp", "/tmp/..", 7, None])
def test_folder_that_would_be_everybodys_is_not_believed(state: StateFile, tmp_path: Path, temporary: object) -> None:
    with state.starting():
        pass
    process = psutil.Process()
    told = {"pid": process.pid, "created": process.create_time(), "ports": [], "temporary": temporary}
    (tmp_path / "home" / "state.json").write_text(json.dumps(told))
    assert state.process() is None
    assert not state.end(timeout=1), "there was nothing to end, this test least of all"
