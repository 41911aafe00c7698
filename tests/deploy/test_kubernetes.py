"""deploy/kubernetes, rendered: what Kubernetes understands, what each pod may do, and who reaches whom."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from mnist_torchserve.gateway.settings import load
from mnist_torchserve.project import ROOT
from tests.support import manifests
from tests.support.manifests import OVERLAYS, Manifest
from tests.support.secrets import write_secret

VERSION = "1.37"  # of Kubernetes, the newest that the schemas know
INSTALLED = ("base", "overlays/example")
ALL_PODS = {
    f"{overlay}:{name}": (overlay, labels, pod) for overlay in OVERLAYS for name, labels, pod in manifests.pods(overlay)
}
SERVING = {key: pod for key, (_, _, pod) in ALL_PODS.items() if "load-test" not in key}
PROMETHEUS = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
    "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
}


def test_every_overlay_is_known() -> None:
    assert {*INSTALLED, "kserve", "load-test"} == set(OVERLAYS)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_rendered_manifests_are_what_kubernetes_understands(overlay: str) -> None:
    for manifest in manifests.rendered(overlay):
        if manifest["kind"] != "InferenceService":  # KServe's own, of which its pod is checked below
            kubernetes_validate.validate(manifest, VERSION, strict=True)


@pytest.mark.parametrize("key", ALL_PODS)
def test_pod_can_do_little(key: str) -> None:
    _, _, pod = ALL_PODS[key]
    kubernetes_validate.validate(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod}, VERSION, strict=True
    )
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"] + pod.get("initContainers", []):
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("key", SERVING)
def test_serving_pod_is_probed_and_ends_within_its_grace(key: str) -> None:
    pod = SERVING[key]
    [container] = pod["containers"]
    assert container["readinessProbe"]
    waits = int(container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])[1])
    longest = 15 if "gateway" in container["name"] else 30  # s, of mnist_torchserve.container
    assert waits + longest <= pod["terminationGracePeriodSeconds"]
    assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize("key", ALL_PODS)
def test_policy_selects_each_pod_and_lets_out_what_it_needs(key: str) -> None:
    overlay, labels, _ = ALL_PODS[key]
    [policy] = [
        each["spec"]
        for each in manifests.of_kind(overlay, "NetworkPolicy").values()
        if each["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    ]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    for rule in policy["egress"]:
        assert {port["port"] for port in rule["ports"]} <= {53, 5557, 7070, 8000, 8080, 8081}
        assert rule["to"], "to whom"


@pytest.mark.parametrize("overlay", INSTALLED)
def test_who_reaches_which_port(overlay: str) -> None:
    policies = manifests.of_kind(overlay, "NetworkPolicy")
    labels = {name: labels for name, labels, _ in manifests.pods(overlay)}
    of_gateway = [{"podSelector": {"matchLabels": labels["mnist-gateway"]}}]
    assert rules(policies["mnist-torchserve"]) == {(8080, 8081, 7070): of_gateway, (8082,): [PROMETHEUS]}
    assert rules(policies["mnist-gateway"]) == {(8000,): None, (8001,): [PROMETHEUS]}
    assert policies["mnist-torchserve"]["spec"]["egress"] == []


def test_management_of_kserves_pods_is_reachable_from_nobody() -> None:
    [policy] = manifests.of_kind("kserve", "NetworkPolicy").values()
    assert rules(policy) == {(8080,): None, (8082,): [PROMETHEUS]}
    assert policy["spec"]["egress"] == []


def rules(policy: Manifest) -> dict[tuple[int, ...], Any]:
    """Who may come in, by the ports; None for anybody."""
    return {tuple(p["port"] for p in rule["ports"]): rule.get("from") for rule in policy["spec"]["ingress"]}


SETTINGS = {**{overlay: (overlay, "/run/keys/keys") for overlay in INSTALLED}, "compose": (None, "/run/secrets/keys")}


@pytest.mark.parametrize("where", SETTINGS)
def test_settings_of_the_gateway_are_settings(where: str, tmp_path: Path) -> None:
    overlay, mounted = SETTINGS[where]
    if overlay is None:
        text = (ROOT / "deploy" / "gateway" / "compose.toml").read_text()
    else:
        [text] = [each["data"]["settings.toml"] for each in manifests.of_kind(overlay, "ConfigMap").values()]
        assert "mnist-torchserve" in manifests.of_kind(overlay, "Service")
        assert text.count("mnist-torchserve:") >= 2
    assert f'keys = "{mounted}"' in text
    write_secret(tmp_path / "keys", "0123456789abcdef\n")
    (tmp_path / "settings.toml").write_text(text.replace(mounted, "keys"))
    settings = load(tmp_path / "settings.toml")
    assert (settings.listen.port, settings.metrics.port) == (8000, 8001)
    assert [node.inference.port for node in settings.nodes] == [8080]


def test_overlay_names_the_installation() -> None:
    found = manifests.rendered("overlays/example")
    assert {each["metadata"].get("namespace") for each in found if each["kind"] != "Namespace"} == {"mnist"}
    images = {pod["containers"][0]["image"] for _, _, pod in manifests.pods("overlays/example")}
    assert images == {f"registry.example.com/mnist-{name}:1.0.0" for name in ("torchserve", "gateway")}
    nodes = manifests.of_kind("overlays/example", "Deployment")["mnist-torchserve"]
    assert "replicas" not in nodes["spec"], "that is the autoscaler's"


def test_load_test_mixes_both_kinds_of_users_and_has_a_key() -> None:
    jobs = manifests.of_kind("load-test", "Job")
    workers = jobs["load-test-workers"]["spec"]
    [master] = jobs["load-test-master"]["spec"]["template"]["spec"]["containers"]
    assert workers["parallelism"] == workers["completions"]
    assert f"--expect-workers={workers['parallelism']}" in master["args"]
    assert workers["parallelism"] % 2, "or each worker has one kind alone"
    assert jobs["load-test-master"]["spec"]["backoffLimit"] == 0
    [worker] = workers["template"]["spec"]["containers"]
    for container in (master, worker):
        assert {"API_KEY", "API_MODEL"} <= {variable["name"] for variable in container["env"]}
