"""deploy/kubernetes/try: its steps, against a stand-in for kubectl, and its client, against a stub of the service."""

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from mnist_torchserve.contract import PIXELS, sample
from mnist_torchserve.project import ROOT
from mnist_torchserve.waiting import wait_until
from tests.support.stub import Answering, Stub

FOLDER = ROOT / "deploy" / "kubernetes"
STANDIN = ROOT / "tests" / "support" / "standin_kubectl.py"
OLD, NEW, GATEWAY = (
    "registry.example.com/torchserve:1",
    "registry.example.com/torchserve:2",
    "registry.example.com/gateway:1",
)
WELL = {"asked": 900, "repeated": 2, "lost": 0, "wrong": 0}
TIMEOUT = 30  # s


class Cluster:
    """What the stand-in has been told, and the trial's end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "kubectl"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {STANDIN} "$@"\n')
        program.chmod(0o755)
        self.says(json.dumps(WELL))

    def says(self, log: str) -> None:
        (self.folder / "log").write_text(f"repeated: 503\n{log}\n")

    def refuses(self, command: str) -> None:
        (self.folder / "refused").write_text(command)

    def trial(self, *options: str, path: str | None = None) -> "subprocess.CompletedProcess[str]":
        given = [f"--image={OLD}", f"--gateway-image={GATEWAY}", f"--new-image={NEW}", *options]
        return subprocess.run(
            [sys.executable, str(FOLDER / "try"), "--namespace=trial", *given],
            env={**os.environ, "CLUSTER": str(self.folder), "PATH": path or f"{self.folder}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def test_trial_does_its_steps_in_turn_and_says_what_was_lost(cluster: Cluster) -> None:
    done = cluster.trial()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "asked 900, repeated once 2, lost 0, wrong 0"
    nodes = "deployment/mnist-torchserve"
    order = [
        "create namespace trial",
        "create secret generic mnist-keys",
        "apply",
        f"rollout status {nodes}",
        "rollout status deployment/mnist-gateway",
        "wait pod/mnist-client",
        "delete pod/one",
        f"rollout status {nodes}",
        f"scale {nodes} --replicas=3",
        f"rollout status {nodes}",
        f"set image {nodes} torchserve={NEW}",
        f"rollout status {nodes}",
        f"rollout undo {nodes}",
        f"rollout status {nodes}",
        "exec mnist-client -- touch /tmp/stop",
        "wait pod/mnist-client",
        "logs mnist-client",
        "delete namespace trial",
    ]
    calls = iter(cluster.calls())
    for step in order:
        assert any(call.startswith(step) for call in calls), f"{step}, after what came before it"


def test_trial_applies_the_base_with_the_images_that_it_was_given(cluster: Cluster) -> None:
    assert cluster.trial("--cpu=250m").returncode == 0
    text, _, client = (cluster.folder / "applied").read_text().rpartition("\n{")
    applied = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(text)}
    images = {
        name: [container]
        for (kind, name), each in applied.items()
        if kind == "Deployment"
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    assert {name: each[0]["image"] for name, each in images.items()} == {
        "mnist-torchserve": OLD,
        "mnist-gateway": GATEWAY,
    }
    assert {each[0]["resources"]["requests"]["cpu"] for each in images.values()} == {"250m"}
    assert ("NetworkPolicy", "mnist-torchserve") in applied
    assert json.loads("{" + client)["spec"]["containers"][0]["image"] == GATEWAY


@pytest.mark.parametrize("bad", [{"lost": 1}, {"wrong": 1}, {"asked": 0}])
def test_trial_with_a_loss_ends_with_1(cluster: Cluster, bad: dict[str, int]) -> None:
    cluster.says(json.dumps(WELL | bad))
    done = cluster.trial()
    assert done.returncode == 1
    assert cluster.calls()[-1] == "delete namespace trial"


STEPS = [
    "create secret",
    "kustomize",
    "apply",
    "rollout status",
    "create configmap",
    "wait",
    "get pods",
    "delete pod/one",
]
STEPS += ["scale", "set image", "get deployment", "rollout undo", "exec", "logs"]


@pytest.mark.parametrize("step", STEPS)
def test_step_that_cannot_be_done_ends_with_3_and_a_sentence(cluster: Cluster, step: str) -> None:
    cluster.refuses(step)
    done = cluster.trial()
    assert done.returncode == 3
    assert re.fullmatch(r"[A-Z].* could not be done: Error from server \(Forbidden\): you may not\.\n", done.stderr)
    assert cluster.calls()[-1] == "delete namespace trial"


def test_log_without_an_account_ends_with_3(cluster: Cluster) -> None:
    cluster.says("Traceback (most recent call last):")
    done = cluster.trial()
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)


def test_namespace_that_is_somebody_elses_is_left_alone(cluster: Cluster) -> None:
    cluster.refuses("create namespace")
    assert cluster.trial().returncode == 3
    assert cluster.calls() == ["create namespace trial"]


def test_namespace_that_cannot_be_deleted_is_named(cluster: Cluster) -> None:
    cluster.refuses("delete namespace")
    done = cluster.trial()
    assert done.returncode == 3
    assert done.stderr.startswith("Deleting the namespace trial could not be done: ")


def test_missing_kubectl_is_said(cluster: Cluster) -> None:
    done = cluster.trial(path="/nowhere")
    assert done.returncode == 3
    assert done.stderr == "kubectl was not found: install it and put it on the PATH.\n"


def test_same_image_twice_is_refused(cluster: Cluster) -> None:
    done = cluster.trial(f"--new-image={OLD}")
    assert done.returncode == 2
    assert cluster.calls() == []


def label(pixels: bytes) -> int:
    images, labels = sample()
    return labels[images.index(pixels) // PIXELS]


NUMBERS = count()
# Of another model than MNIST's, any answer is right that stays the same.
ANSWERS: dict[str, tuple[str, Answering]] = {
    "right": ("mnist", lambda _, body: (200, {"prediction": label(body)})),
    "wrong": ("mnist", lambda _, body: (200, {"prediction": (label(body) + 1) % 10})),
    "refused": ("mnist", lambda *_: (503, {"code": 503})),
    "steady": ("awesome", lambda _, body: (200, {"prediction": (label(body) + 1) % 10})),
    "fickle": ("awesome", lambda *_: (200, {"prediction": next(NUMBERS)})),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_client_keeps_account_of_what_it_is_answered(name: str, service_stub: Stub, tmp_path: Path) -> None:
    model, answering = ANSWERS[name]
    service_stub.answering = lambda path, body: (
        (200, {"models": [model, "other"]}) if path == "/v1/models" else answering(path, body)
    )
    contract = ROOT / "mnist_torchserve" / "contract"
    for file in (FOLDER / "client.py", contract / "sample.py", contract / "digits.npz"):
        shutil.copy(file, tmp_path)
    with subprocess.Popen(
        [sys.executable, "client.py", service_stub.url],
        cwd=tmp_path,
        env={**os.environ, "API_KEY": "0" * 32, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as client:
        before = service_stub.answers_left
        wait_until(lambda: before - service_stub.answers_left > (120 if name == "fickle" else 20), TIMEOUT)
        (tmp_path / "stop").touch()
        printed, _ = client.communicate(timeout=TIMEOUT)
    account: dict[str, Any] = json.loads(printed)
    assert account["asked"] > 0
    assert (account["wrong"] == 0) == (name not in ("wrong", "fickle"))
    assert name != "wrong" or account["wrong"] == account["asked"]
    assert account["lost"] == account["repeated"] == (account["asked"] if name == "refused" else 0)
