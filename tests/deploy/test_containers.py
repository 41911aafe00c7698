"""The files for containers: no engine runs them here, so they are held to their schemas and to what they refer to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from mnist_torchserve.gateway.settings import load
from mnist_torchserve.project import ROOT
from tests.support import programs
from tests.support.secrets import write_secret

DEPLOY = ROOT / "deploy"
VERSION = "1.37"  # of Kubernetes, the newest that the schemas know


def manifests() -> list[dict[str, Any]]:
    files = [DEPLOY / "kubernetes" / f"{name}.yaml" for name in ("torchserve", "gateway", "network-policy")]
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod: those of the deployments, and KServe's, whose predictor is a pod with some words of its own."""
    for manifest in manifests():
        if manifest["kind"] == "Deployment":
            yield manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]
    predictor = yaml.safe_load((DEPLOY / "kubernetes" / "kserve.yaml").read_text())["spec"]["predictor"]
    for word in ("minReplicas", "maxReplicas", "scaleMetric", "scaleTarget"):
        del predictor[word]
    yield "kserve", predictor


PODS = dict(pods())


@pytest.mark.parametrize("manifest", manifests(), ids=lambda m: f"{m['kind']} {m['metadata']['name']}")
def test_manifest_is_what_kubernetes_understands(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)


@pytest.mark.parametrize("name", PODS)
def test_pod_can_do_little_and_ends_gracefully(name: str) -> None:
    pod = PODS[name]
    kubernetes_validate.validate(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod}, VERSION, strict=True
    )
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"]
    [container] = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]
    assert container["readinessProbe"]
    waits = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert waits < pod["terminationGracePeriodSeconds"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/app/.run", "/tmp"}


def test_management_is_reachable_from_the_gateway_alone() -> None:
    policies = {m["metadata"]["name"]: m["spec"] for m in manifests() if m["kind"] == "NetworkPolicy"}
    deployments = {m["metadata"]["name"]: m["spec"] for m in manifests() if m["kind"] == "Deployment"}
    [rule] = policies["mnist-torchserve"]["ingress"]
    gateway = deployments["mnist-gateway"]["template"]["metadata"]["labels"]
    assert rule["from"] == [{"podSelector": {"matchLabels": gateway}}]
    for name, policy in policies.items():
        assert policy["podSelector"]["matchLabels"] == deployments[name]["template"]["metadata"]["labels"]
    assert policies["mnist-gateway"]["ingress"] == [{"ports": [{"port": 8000}]}]


def test_settings_of_the_gateways_are_settings(tmp_path: Path) -> None:
    [kubernetes] = [m["data"]["settings.toml"] for m in manifests() if m["kind"] == "ConfigMap"]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    write_secret(tmp_path / "keys", "0123456789abcdef\n")
    composed = compose["configs"]["gateway"]["content"]
    for text, mounted in ((kubernetes, "/run/keys/keys"), (composed, "/run/secrets/keys")):
        assert f'keys = "{mounted}"' in text
        (tmp_path / "settings.toml").write_text(text.replace(mounted, "keys"))
        settings = load(tmp_path / "settings.toml")
        assert settings.listen.port == 8000
        assert [node.inference.port for node in settings.nodes] == [8080]
    services = {m["metadata"]["name"] for m in manifests() if m["kind"] == "Service"}
    assert "mnist-torchserve:8080" in kubernetes
    assert "mnist-torchserve" in services
    published = {name: service.get("ports", []) for name, service in compose["services"].items()}
    assert published == {"torchserve": [], "gateway": ["8000:8000"]}


def test_dockerfile_follows_the_rules() -> None:
    programs.assert_content(programs.of_package("hadolint"), DEPLOY / "Dockerfile")
