"""scripts/loadtest: its verdict on services that are right, wrong, gone, or overtaken; and what bad use is told."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import pytest
from mnist_torchserve.commands.loadtest import is_ours
from mnist_torchserve.contract import Deployment
from mnist_torchserve.loadtest import history, objectives
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import TorchServe
from tests.support import environments
from tests.support.load_runs import STEADY, made_run
from tests.support.stub import Stub

RunAlone = Callable[..., subprocess.CompletedProcess[str]]

PERFORMANCETESTS = ROOT / "tests" / "performancetests"

# A profile of two seconds in place of minutes; the rest as in our own file.
SHORT = """
[profile.short]
summary = "a short one"
locustfile = "{locustfile}"
users = {users}
spawn_rate = 100
run_time = {seconds}
{more}
[profile.short.endpoints."POST /predict"]
{endpoint}
"""


def write_objectives(folder: Path, endpoint: str, **changes: Any) -> Path:
    """A file of objectives with the profile `short`."""
    locustfile = PERFORMANCETESTS / changes.pop("locustfile", "locustfile.py")
    values = {"users": 4, "seconds": 3, "more": "", **changes}
    ours = objectives.FILE.read_text()
    file = folder / "objectives.toml"
    file.write_text(ours + SHORT.format(locustfile=locustfile, endpoint=endpoint, **values))
    return file


def loadtest(folder: Path, *arguments: object, code: int, **variables: str) -> str:
    """Run scripts/loadtest with its files in `folder`; it must end with this exit code. All that it printed."""
    files = ["--results", folder / "results", "--history", folder / "history.jsonl"]
    command = [sys.executable, ROOT / "scripts" / "loadtest", *files, *arguments]
    done = subprocess.run(
        [*map(str, command)], env=os.environ | variables, stdout=PIPE, stderr=STDOUT, text=True, timeout=120
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def on(stub: Stub, objectives: Path) -> list[object]:
    return ["--host", stub.url, "--profile", "short", "--objectives", objectives]


def result(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((results(folder) / "result.json").read_text())
    return read


def results(folder: Path) -> Path:
    """The folder that the only run has made."""
    [made] = (folder / "results").iterdir()
    return made


def test_real_service_passes_with_good_and_bad_input(deployment: Deployment, tmp_path: Path) -> None:
    limits = "failure_ratio = 0\np99 = 10_000"
    file = write_objectives(tmp_path, limits, locustfile="mixed.py", users=20, more="recognised = 0.9")
    host = deployment.root.removesuffix("/ping").removesuffix("/")
    output = loadtest(tmp_path, "--profile", "short", "--objectives", file, "--host", host, code=0)
    assert "PASS: 3 of 3 objectives met" in output
    endpoints = result(tmp_path)["run"]["endpoints"]
    assert {"POST /predict", "POST /predict (400)", "POST /predict (422)"} <= endpoints.keys()
    assert endpoints["total"]["failures"] == 0
    names = {path.name for path in results(tmp_path).iterdir()}
    assert {"locust_stats.csv", "report.html", "result.json", "over_time.png"} <= names
    [line] = history.read(tmp_path / "history.jsonl")
    assert (line["profile"], line["model"], line["verdict"]) == ("short", "mnist", "PASS")


def test_runs_are_recorded_where_git_does_not_look() -> None:
    [folder, _] = history.FILE.relative_to(ROOT).parts
    assert f"{folder}/" in (ROOT / ".gitignore").read_text().splitlines(), "or every run would make the checkout dirty"


def test_objectives_that_are_not_met_fail(service_stub: Stub, tmp_path: Path) -> None:
    """The stub answers every digit with 7: no failure of a request, and yet no good service."""
    file = write_objectives(tmp_path, "p99 = 0\nfailure_ratio = 0\nmin_rps = 0.1", more="recognised = 0.9")
    output = loadtest(tmp_path, *on(service_stub, file), code=1)
    assert "FAIL  POST /predict p99 " in output
    assert "PASS  POST /predict failure ratio" in output
    assert "PASS  POST /predict throughput" in output
    assert "FAIL  digits recognised" in output
    assert "FAIL: 2 of 4 objectives met" in output


def test_service_that_answers_wrongly_fails(service_stub: Stub, tmp_path: Path) -> None:
    service_stub.answers["/health"] = {"status": "unhealthy", "model_loaded": False}
    service_stub.answers["/predict"] = {"prediction": 7}
    output = loadtest(tmp_path, *on(service_stub, write_objectives(tmp_path, "failure_ratio = 0")), code=1)
    assert "FAIL  POST /predict failure ratio" in output
    assert 'wrong answer: 200 {"prediction": 7}' in output


def test_service_that_goes_down_fails(service_stub: Stub, tmp_path: Path) -> None:
    service_stub.answers_left = 10
    output = loadtest(tmp_path, *on(service_stub, write_objectives(tmp_path, "failure_ratio = 0")), code=1)
    assert "FAIL  POST /predict failure ratio" in output


def test_saturated_generator_gives_no_verdict(service_stub: Stub, tmp_path: Path) -> None:
    """Locust's own warning, its threshold lowered so that a busy machine reaches it as well."""
    locustfile = tmp_path / "saturated.py"
    locustfile.write_text(
        "import locust.runners\n"
        "from tests.performancetests.locustfile import StressTestUser\n"
        "from mnist_torchserve.loadtest import recorder\n"
        "locust.runners.CPU_MONITOR_INTERVAL = 0.2\n"
        "locust.runners.CPU_WARNING_THRESHOLD = 0\n"
    )
    file = write_objectives(tmp_path, "failure_ratio = 0", locustfile=locustfile)
    output = loadtest(tmp_path, *on(service_stub, file), code=3)
    assert "NO VERDICT" in output
    assert not (tmp_path / "history.jsonl").exists()


def test_climb_finds_the_breaking_point(service_stub: Stub, tmp_path: Path) -> None:
    service_stub.most_connections = 15
    file = write_objectives(tmp_path, "failure_ratio = 0", locustfile="breaking_point.py", users=100)
    text = file.read_text()
    for key, value in {"first": 10, "factor": 2, "settle": 0, "hold": 1, "recovered": 1000}.items():
        text = re.sub(f"(?m)^{key} = .*", f"{key} = {value}", text)
    file.write_text(text)
    loadtest(tmp_path, *on(service_stub, file), code=0)
    climb = result(tmp_path)["run"]["climb"]
    assert [(step["users"], step["held"]) for step in climb["steps"]] == [(10, True), (20, False)]
    assert climb["sustained"]["users"] == 10
    assert climb["saturated"] == "the queue"
    assert (results(tmp_path) / "climb.png").is_file()


def test_profile_is_all_that_locust_obeys(service_stub: Stub, tmp_path: Path) -> None:
    file = write_objectives(tmp_path, "failure_ratio = 0", users=2)
    for name in ("locust.conf", ".locust.conf"):
        (tmp_path / name).write_text("tags = smoke\nusers = 0\n")
    elsewhere = {"LOCUST_TAGS": "smoke", "LOCUST_USERS": "0", "HOME": str(tmp_path)}
    loadtest(tmp_path, *on(service_stub, file), code=0, **elsewhere)
    assert result(tmp_path)["run"]["endpoints"]["total"]["requests"] > 0


def test_run_without_a_request_has_no_verdict(service_stub: Stub, tmp_path: Path) -> None:
    file = write_objectives(tmp_path, "failure_ratio = 0", more='options = ["--tags", "smoke"]')
    assert "NO VERDICT" in loadtest(tmp_path, *on(service_stub, file), code=3)
    assert not (tmp_path / "history.jsonl").exists()


def test_run_leaves_everything_that_stands_where_its_results_go(service_stub: Stub, tmp_path: Path) -> None:
    file = write_objectives(tmp_path, "failure_ratio = 0", users=2)
    theirs = tmp_path / "results" / "thesis.txt"
    theirs.parent.mkdir()
    theirs.write_text("years of work")
    loadtest(tmp_path, *on(service_stub, file), code=0)
    assert theirs.read_text() == "years of work"
    theirs.unlink()
    assert results(tmp_path).name.startswith("short-")
    theirs.parent.rename(tmp_path / "earlier")
    theirs.parent.write_text("a file")
    output = loadtest(tmp_path, *on(service_stub, file), code=2)
    assert re.search(rf"{tmp_path}/results/\S+: Not a directory\. .*--results", output)


def test_versions_that_disagree_fail(service_stub: Stub, tmp_path: Path) -> None:
    service_stub.answers |= {
        "/predictions/mnist/1.0": {"prediction": 7, "confidence": 0.9},
        "/predictions/mnist/2.0": {"prediction": 3, "confidence": 0.6},
    }
    output = loadtest(tmp_path, "--compare", "1.0", "2.0", "--host", service_stub.url, "--run-time", 4, code=1)
    assert "FAIL  equal predictions" in output
    assert "FAIL  confidence in digits, moved" in output
    assert "0.3 (0.9000 → 0.6000)" in output


# What the cluster's load test takes along: deploy/kubernetes/load-test.yaml.
TAKEN_ALONG = ["mnist_torchserve/__init__.py", "mnist_torchserve/contract", "mnist_torchserve/loadtest"]
TAKEN_ALONG += ["tests/performancetests"]


@pytest.fixture
def locust_alone(tmp_path: Path) -> RunAlone:
    """Run Locust where there is nothing else but what the cluster takes along of us."""
    for name in TAKEN_ALONG:
        source, copy = ROOT / name, tmp_path / "copy" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
    python = environments.with_packages(tmp_path / "environment", "locust")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([python, *arguments], cwd=tmp_path / "copy", capture_output=True, text=True, timeout=60)

    for missing in ("numpy", "torch", "mnist_torchserve.service"):
        assert run("-c", f"import {missing}").returncode, f"{missing} is there, or this fixture gives nothing"
    return run


def test_locust_alone_makes_load_and_judges_it(service_stub: Stub, tmp_path: Path, locust_alone: RunAlone) -> None:
    """The command of the seed document."""
    file = write_objectives(tmp_path, "failure_ratio = 0\np99 = 0")
    done = locust_alone(
        *("-m", "locust", "-f", "tests/performancetests/locustfile.py", "--headless"),
        *("--users", "10", "--spawn-rate", "10", "--run-time", "3s", "--host", service_stub.url),
        *("--csv", str(tmp_path / "locust"), "--verdict", "short", "--objectives", str(file)),
    )
    assert done.returncode == 1, done.stderr
    assert "FAIL  POST /predict p99" in done.stderr
    assert "PASS  POST /predict failure ratio" in done.stderr
    assert "POST,/predict," in (tmp_path / "locust_stats.csv").read_text()


def test_locust_alone_reads_every_load(locust_alone: RunAlone) -> None:
    files = ",".join(f"tests/performancetests/{file.name}" for file in PERFORMANCETESTS.glob("*.py"))
    done = locust_alone("-m", "locust", "-f", files, "--list")
    assert done.returncode == 0, done.stderr
    assert {"MNISTAPIUser", "StressTestUser", "MixedUser", "ArrivalUser", "ComparingUser"} <= set(done.stdout.split())


def test_cluster_takes_along_what_was_tried() -> None:
    manifest = (ROOT / "deploy" / "kubernetes" / "load-test" / "load-test.yaml").read_text()
    assert " ".join(TAKEN_ALONG) in " ".join(manifest.replace("#", " ").split())


def test_profile_that_is_unknown_to_locust_is_bad_use(service_stub: Stub, locust_alone: RunAlone) -> None:
    done = locust_alone(
        *("-m", "locust", "-f", "tests/performancetests/locustfile.py", "--headless", "--run-time", "1s"),
        *("--host", service_stub.url, "--verdict", "nosuch"),
    )
    assert done.returncode == 2, done.stderr
    assert "`nosuch`" in done.stderr


def test_memory_is_that_of_the_process_under_load(node: TorchServe, service_stub: Stub) -> None:
    assert is_ours(node.url, node)
    assert is_ours(node.url.replace("127.0.0.1", "localhost"), node)
    assert not is_ours(service_stub.url, node), "another service of this machine"
    assert not is_ours(node.url.replace("127.0.0.1", "192.0.2.1"), node)


BAD_USE = {
    "two kinds of comparing": (
        ["--compare", "1.0", "2.0", "--baseline", "http://127.0.0.1:9"],
        r"--compare .*--baseline",
    ),
    "no server": (["--host", "http://127.0.0.1:9"], r"http://127\.0\.0\.1:9 \(ConnectionError\).*scripts/serve"),
    "no address": (["--host", "somewhere"], r"'somewhere' .*http://127\.0\.0\.1:8080"),
    "unknown profile": (["--profile", "sead"], r"`sead`.* seed, ci,"),
    "no objectives": (["--objectives", "/nowhere.toml"], r" /nowhere\.toml .*No such file"),
    "no history": (["--trend"], r" \S+/history\.jsonl "),
}


@pytest.mark.parametrize(("arguments", "said"), BAD_USE.values(), ids=BAD_USE)
def test_bad_use_gets_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    output = loadtest(tmp_path, *arguments, code=2)
    assert re.search(said, output)
    assert len(output.splitlines()) == 1


def test_missing_locust_is_named(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\nfind = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'locust' else find(name, *rest)\n"
    )
    output = loadtest(tmp_path, code=2, PYTHONPATH=str(tmp_path))
    assert re.fullmatch(rf"Locust .*{re.escape(sys.prefix)}.*\n", output)


WRONG_OBJECTIVES = {
    "no TOML": ("profile =", r"TOML: .*line "),
    "unknown key": ("p98 = 3", r"`p98`.* mean, p50, p95"),
    "no number": ('p99 = "30 ms"', r'\[profile\.short\.endpoints\."POST /predict"\] .*`p99 = \'30 ms\'`'),
}


@pytest.mark.parametrize(("endpoint", "said"), WRONG_OBJECTIVES.values(), ids=WRONG_OBJECTIVES)
def test_wrong_objectives_are_refused(tmp_path: Path, endpoint: str, said: str) -> None:
    file = write_objectives(tmp_path, endpoint)
    with pytest.raises(objectives.ObjectivesError, match=f"{re.escape(str(file))} .*{said}"):
        objectives.load(file)


def test_trend_judges_each_machine_and_model_by_itself_and_draws(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    elsewhere = [made_run(50, machine="a slower one") for _ in range(5)]
    others = [made_run(1, model="awesome") for _ in range(5)]
    for line in [*STEADY, *elsewhere, *others]:
        history.append(file, line)
    output = loadtest(tmp_path, "--trend", code=0)
    assert "seed of awesome on a machine: 5 runs" in output
    assert "PASS: no regression" in output
    history.append(file, made_run(9, model="mnist"))
    output = loadtest(tmp_path, "--trend", code=1)
    assert "FAIL  seed: mean ÷ median of 5" in output
    assert (tmp_path / "trend.png").read_bytes().startswith(b"\x89PNG")
