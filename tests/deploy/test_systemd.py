"""One server: the commands of docs/deployment.md as typed, by root under a systemd that runs in a container."""

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator

import pytest
import torch
from mnist_torchserve.project import ROOT
from mnist_torchserve.waiting import wait_until
from tests.packaging.linear import LINEAR, linear
from tests.support import checkout, engine
from tests.test_readme import blocks, commands

pytestmark = pytest.mark.containers

Run = Callable[[str], str]

IMAGE = "mnist-systemd-test"
[BASE] = re.findall("^ARG PYTHON=(.+)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
DOCKERFILE = f"""
FROM {BASE}
RUN apt-get update && apt-get install --yes --no-install-recommends systemd git curl openssl procps
CMD ["/lib/systemd/systemd"]
"""
# What systemd needs to be the first process, and to give a unit a sandbox.
SYSTEMD = ["--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"]
SYSTEMD += ["--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup"]
SYSTEMD += ["--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec"]

SECTION = (ROOT / "docs" / "deployment.md").read_text().partition("\n## One server\n")[2].partition("\n## ")[0]
CHECKOUT = "/opt/mnist-torchserve"
OVERRIDES = "/etc/systemd/system/mnist.service.d"
AS_MNIST = f"cd /own; runuser -u mnist -- {CHECKOUT}/scripts"
HEALTH = "curl --silent --retry 7 --retry-connrefused http://127.0.0.1:8000/health"
KEY = '--header "x-api-key: $(cat /etc/mnist/keys)"'
PREDICT = f"curl --silent --json @{CHECKOUT}/docs/seven.json http://127.0.0.1:8000/predict "


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs a line as root on a machine where the page has been followed."""
    folder = tmp_path_factory.mktemp("systemd")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*checkout.LEFT_OUT))
    settings = folder / "source" / "deploy" / "gateway" / "settings.toml"
    said = settings.read_text().replace('listen = "127.0.0.1:8000"', 'listen = "0.0.0.0:8000"')
    settings.write_text(said.replace('keys = ""', 'keys = "/etc/mnist/keys"'))
    (folder / "own").mkdir()
    (folder / "own" / "my_model.py").write_text(LINEAR)
    torch.save(linear(), folder / "own" / "model.pth")
    (folder / "image").mkdir()
    (folder / "image" / "Dockerfile").write_text(DOCKERFILE)
    engine.docker("build", "--tag", IMAGE, str(folder / "image"), timeout=engine.BUILD_TIMEOUT)
    volumes = [f"--volume={folder / name}:/{name}:ro" for name in ("source", "own")]
    identity = engine.docker("run", "--detach", *SYSTEMD, *volumes, IMAGE).split()[-1]

    def in_container(line: str) -> str:
        return engine.docker("exec", identity, "bash", "-ec", line, timeout=engine.BUILD_TIMEOUT)

    try:
        wait_until(
            lambda: "running" in engine.docker("exec", identity, "systemctl", "is-system-running", code=None), 30
        )
        for language, block in blocks(SECTION):
            for command in commands(block) if language == "sh" else ():
                in_container(
                    command.replace("git clone https://…", "cp --recursive /source").replace("tail -f", "tail")
                )
        yield in_container
    finally:
        engine.docker("rm", "--force", identity)


def test_service_answers_and_asks_for_a_key(run: Run) -> None:
    assert json.loads(run(HEALTH)) == {"status": "healthy", "model_loaded": True}
    assert json.loads(run(PREDICT + KEY))["prediction"] == 7
    assert json.loads(run(PREDICT))["code"] == 401
    assert run("systemctl show mnist --property NRestarts --value").strip() == "0"


def test_reload_leaves_every_process_in_the_unit(run: Run) -> None:
    before = run("pgrep --uid mnist java")
    run("systemctl reload mnist")
    assert run("pgrep --uid mnist java") != before
    for identity in run("pgrep --uid mnist").split():
        assert "mnist.service" in run(f"cat /proc/{identity}/cgroup")
    assert json.loads(run(PREDICT + KEY))["prediction"] == 7


def test_killed_service_comes_back(run: Run) -> None:
    run("kill -9 $(systemctl show mnist --property MainPID --value)")
    assert json.loads(run(HEALTH))["status"] == "healthy"


def test_own_model_is_served_by_the_override_file(run: Run) -> None:
    run(f"{AS_MNIST}/archive --name awesome --model-file my_model.py --weights model.pth")
    [override] = [block for language, block in blocks(SECTION) if language == "ini"]
    run(f"mkdir {OVERRIDES}; printf %s {shlex.quote(override)} > {OVERRIDES}/override.conf; systemctl daemon-reload")
    run(f"systemctl restart mnist; {HEALTH}")
    assert json.loads(run(f"curl --silent http://127.0.0.1:8000/v1/models {KEY}")) == {"models": ["awesome"]}


def test_stopped_service_leaves_no_process(run: Run) -> None:
    run(f"systemctl restart mnist; {HEALTH}; systemctl stop mnist; ! pgrep --uid mnist")
    assert run("systemctl is-failed mnist || true").strip() == "inactive"
