"""The pods of deploy/kubernetes, each as a container with the same user, mounts, limits, probes and signals."""

import time
from pathlib import Path

import pytest
from mnist_torchserve.project import ROOT
from mnist_torchserve.waiting import wait_until
from tests.support import engine, manifests
from tests.support.manifests import Manifest

pytestmark = pytest.mark.containers

READY = 90  # s
PROBE = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5).read()"
KNOCK = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5)"
PODS = {name: pod for overlay in ("base", "kserve") for name, _, pod in manifests.pods(overlay)}


def options(pod: Manifest, files: dict[str, Path]) -> list[str]:
    """A pod as `docker run` knows it; what it mounts from the cluster are these files, by the volume."""
    [container] = pod["containers"]
    user = pod["securityContext"]["runAsUser"]
    found = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--user={user}:{user}"]
    found.append(f"--memory={container['resources']['limits']['memory'].replace('i', '').lower()}")
    for mount in container["volumeMounts"]:
        if mount["name"] in files:
            found.append(f"--volume={files[mount['name']]}:{mount['mountPath']}:ro")
        else:
            found.append(f"--tmpfs={mount['mountPath']}:exec,mode=1777")
    return found


def passes(identity: str, pod: Manifest, probe: Manifest) -> bool:
    """Whether a probe of the pod's container finds it well."""
    [container] = pod["containers"]
    ports = {port.get("name"): port["containerPort"] for port in container["ports"]}
    if "exec" in probe:
        words = probe["exec"]["command"]
    else:
        asked = probe.get("httpGet") or probe["tcpSocket"]
        port = ports.get(asked["port"], asked["port"])
        known = [PROBE, f"http://127.0.0.1:{port}{asked['path']}"] if "path" in asked else [KNOCK, str(port)]
        words = ["python", "-I", "-c", *known]
    told = engine.docker("exec", identity, *words, code=None)
    return told == ""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    [settings] = [each["data"] for each in manifests.of_kind("base", "ConfigMap").values()]
    (tmp_path / "settings.toml").write_text(settings["settings.toml"])
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o755)
    (keys / "keys").write_text("0123456789abcdef\n")
    return {"settings": tmp_path / "settings.toml", "keys": keys}


@pytest.mark.parametrize("name", PODS)
def test_pod_starts_is_well_and_ends_within_its_grace(name: str, files: dict[str, Path]) -> None:
    pod = PODS[name]
    [container] = pod["containers"]
    target = "gateway" if "gateway" in container["image"] else "torchserve"
    build = ["build", "--quiet", "--file", str(ROOT / "deploy" / "Dockerfile"), "--target", target]
    image = engine.docker(*build, "--build-arg", "PIP_EXTRA_INDEX_URL", str(ROOT), timeout=engine.BUILD_TIMEOUT)
    run = ["run", "--detach", *options(pod, files), image.split()[-1], *container.get("args", [])]
    identity = engine.docker(*run).split()[-1]
    try:
        probes = [container[key] for key in ("startupProbe", "readinessProbe", "livenessProbe") if key in container]
        for probe in probes:
            wait_until(lambda probe=probe: passes(identity, pod, probe), READY)  # type: ignore[misc]  # bound early
        began = time.monotonic()
        hook = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command")
        if hook:
            engine.docker("exec", identity, *hook)
        engine.docker("stop", "--time=60", identity)
        assert time.monotonic() - began < pod["terminationGracePeriodSeconds"]
        assert engine.inspect(identity)["State"]["ExitCode"] == 0
    finally:
        engine.docker("rm", "--force", identity)
