"""Stopping and starting again: at once with another, after a crash, with half of an archive, on one core, read-only."""

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from subprocess import DEVNULL

import psutil
import pytest
import requests
from mnist_torchserve import log_keeper
from mnist_torchserve.contract import blank
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.service import Archive
from mnist_torchserve.state_file import StateFile
from mnist_torchserve.waiting import wait_until
from tests.support.checkout import Checkout
from tests.support.fixtures import MakeServer
from tests.support.workers import have_ended, stuck

TIMEOUT = 60  # s


def test_two_starts_at_once_on_one_core_give_one_service(checkout: Checkout) -> None:
    core = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    pinned = f"taskset -c {core} " if shutil.which("taskset") else ""
    start = f"({pinned}scripts/serve --detach; echo code $?)"
    output = checkout.run(f"{start} > one & {start} > two & wait; cat one two", timeout=180)
    assert sorted(line for line in output.splitlines() if line.startswith("code ")) == ["code 0", "code 1"], output
    assert output.count("The service runs in the background") == 1
    assert output.count("Already running: TorchServe, process") == 1
    answer = requests.post(checkout.server.predict_url, json=blank(), timeout=TIMEOUT)
    assert answer.status_code == 200
    assert checkout.run("scripts/stop") == "The service has ended; its ports are free.\n"


def test_jvm_that_dies_ends_the_foreground_and_can_be_started_again(checkout: Checkout) -> None:
    process = checkout.popen("scripts/serve")
    checkout.wait_for_output("Ctrl-C ends it")
    family = checkout.server.family()
    family[0].kill()
    assert process.wait(30) == 1
    assert "TorchServe ended unexpectedly; its logs are in" in checkout.output()
    assert have_ended(family)
    checkout.run("scripts/serve --detach")


@pytest.mark.parametrize("remembered", ["dead", "another", "half written"])
def test_stale_state_is_no_process_and_harms_none(tmp_path: Path, remembered: str) -> None:
    state, temporary = tmp_path / "state.json", tmp_path / "temporary"
    temporary.mkdir()
    daemon = StateFile(state)
    daemon.remember(psutil.Process(), [], str(temporary))
    assert daemon.process() == psutil.Process()
    if remembered == "half written":
        state.write_text(state.read_text()[:20])
    else:  # a PID that nobody has, or that somebody else has by now
        change = {"pid": 2**22 + 1} if remembered == "dead" else {"born": "0"}
        state.write_text(json.dumps(json.loads(state.read_text()) | change))
    assert daemon.process() is None
    assert not daemon.end(1)
    assert not state.exists()
    assert temporary.exists() == (remembered == "half written"), "nobody knows then that it was ours"
    with daemon.starting():
        daemon.remember(psutil.Process(), [], str(temporary))
    assert daemon.process() == psutil.Process()


def test_logs_of_earlier_runs_stay(make_server: MakeServer) -> None:
    server = make_server()
    for run in range(log_keeper.KEPT + 2):
        with server.running():
            (server.logs / "run").write_text(str(run))
    kept = [server.logs, *(server.logs.with_name(f"logs.{number}") for number in range(1, log_keeper.KEPT + 1))]
    assert [int((logs / "run").read_text()) for logs in kept] == list(range(log_keeper.KEPT + 1, 0, -1))
    assert all((logs / "ts_log.log").exists() for logs in kept)
    assert not server.logs.with_name(f"logs.{log_keeper.KEPT + 1}").exists()


def test_only_what_was_started_with_its_folder_is_ended_with_it(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    state = json.loads((server.home / "server.json").read_text())
    worker = wait_until(server.workers, TIMEOUT)[0]
    with subprocess.Popen(["tail", "-f", "/dev/null", state["temporary"], str(server.logs)], stderr=DEVNULL) as reader:
        server.family()[0].kill()
        server.stop()
        assert have_ended([worker])
        assert reader.poll() is None, "who looks at its files is a stranger"
        reader.terminate()


def test_stop_of_another_user_is_told_who_may(make_server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server = make_server()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", _forbidden)  # as the kernel does it, but for root
        with pytest.raises(ServiceError, match=rf"{server.home} belongs to {server.home.owner()}, who alone can stop"):
            server.stop()


def _forbidden(path: object, *_: object) -> None:
    raise PermissionError(13, "Permission denied", str(path))


def test_half_written_archive_is_built_again(archive: Archive, tmp_path: Path) -> None:
    copy = Archive(tmp_path / "mnist.mar")
    copy.path.write_bytes(archive.path.read_bytes())
    assert copy.is_current()
    copy.path.write_bytes(archive.path.read_bytes()[:-100])
    assert not copy.is_current()


def test_build_that_is_interrupted_leaves_the_archive_as_it_was(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = Archive(tmp_path / "mnist.mar")
    copy.path.write_bytes(archive.path.read_bytes())
    monkeypatch.setattr("subprocess.run", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        copy.build()
    assert [path.name for path in tmp_path.iterdir()] == ["mnist.mar"]
    assert copy.path.read_bytes() == archive.path.read_bytes()


def _interrupted(command: list[str], **_: object) -> None:
    folder = Path(command[command.index("--export-path") + 1])
    (folder / "mnist.mar").write_bytes(b"the first half")
    raise KeyboardInterrupt


def test_read_only_checkout_is_told_in_a_sentence(checkout: Checkout) -> None:
    if os.geteuid() == 0:  # who may write everywhere but on a file system that is read-only
        read_only = 'mount --bind . . && mount -o remount,bind,ro . && cd "$PWD" && '
        output = checkout.run(f"unshare --mount sh -c '{read_only}scripts/serve --detach'; echo code $?")
        if "unshare failed" in output or "permission denied" in output:
            pytest.skip("this container lets not even root mount anything")
        assert output.endswith("code 1\n"), output
    else:
        writable = [path for path in (checkout.root, *checkout.root.rglob("*")) if path.is_dir()]
        checkout.run("true")  # its output has a file now
        for folder in writable:
            folder.chmod(0o555)
        output = checkout.run("scripts/serve --detach", code=1)
        for folder in writable:
            folder.chmod(0o755)
    assert f"{checkout.root}/.run" in output
    assert "cannot be written" in output
    assert "Traceback" not in output


def test_stop_serves_those_who_wait(make_server: MakeServer) -> None:
    """Also those of a model that is not the first."""
    server = make_server(load_models="first=mnist.mar,second=mnist.mar")
    url = f"{server.inference_url}/predictions/second"
    with server.running(), ThreadPoolExecutor(65) as pool:
        with stuck(server):
            answers = [pool.submit(requests.post, url, json=blank(), timeout=TIMEOUT) for _ in range(64)]
            # Two workers have each a batch of 16 at most.
            wait_until(lambda: server.model_state("second")["jobQueueStatus"]["pendingRequests"] >= 32, TIMEOUT)
            ended = pool.submit(server.stop)
            assert not wait([ended], timeout=1).done, "it waits for them"
        assert [answer.result().status_code for answer in answers] == [200] * 64
        assert ended.result()
