"""The file that remembers a process: what it says is believed only where it can be true."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from mnist_torchserve.state_file import StateFile


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
    file = tmp_path / "home" / "state.json"
    file.parent.mkdir()
    state.remember(psutil.Process(), [], str(tmp_path))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"temporary": temporary}))
    assert state.process() is None
    assert not state.end(timeout=1), "there was nothing to end, this test least of all"


def test_process_is_known_after_the_clock_was_set(state: StateFile, tmp_path: Path) -> None:
    with state.starting():
        state.remember(psutil.Process(), [], str(tmp_path))
    # What the kernel calls the moment of its boot moves with the clock.
    text = Path("/proc/stat").read_text()
    moved = tmp_path / "stat"
    moved.write_text(re.sub(r"(?m)^btime (\d+)", lambda found: f"btime {int(found[1]) + 1}", text))
    code = (
        "import sys, pathlib, mnist_torchserve.state_file as s; print(s.StateFile(pathlib.Path(sys.argv[1])).process())"
    )
    ask = f'mount --bind "{moved}" /proc/stat && exec "$0" -c "$1" "$2"'
    command = ["unshare", "--mount", "sh", "-c", ask, sys.executable, code, str(tmp_path / "home" / "state.json")]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ermission denied" in asked.stderr or "not permitted" in asked.stderr:
        pytest.skip("only root may give a process another /proc/stat")
    assert f"pid={os.getpid()}" in asked.stdout, asked.stderr
