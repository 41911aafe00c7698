"""What deploy/kubernetes renders to, by kubectl itself, which needs no cluster for that."""

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from mnist_torchserve.project import ROOT
from tests.support import programs

FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = sorted(
    str(file.parent.relative_to(FOLDER))
    for file in FOLDER.rglob("kustomization.yaml")
    if "kind: Component" not in file.read_text()
)

Manifest = dict[str, Any]


@cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    """All objects of an overlay."""
    kubectl = Path(sys.executable).with_name("kubectl")
    return tuple(yaml.safe_load_all(programs.output(kubectl, "kustomize", FOLDER / overlay)))


def of_kind(overlay: str, kind: str) -> dict[str, Manifest]:
    """An overlay's objects of a kind, by name."""
    return {each["metadata"]["name"]: each for each in rendered(overlay) if each["kind"] == kind}


def pods(overlay: str) -> Iterator[tuple[str, dict[str, str], Manifest]]:
    """Every pod of an overlay: its name, its labels, and what it is; KServe's is a pod with some words of its own."""
    for manifest in rendered(overlay):
        name, spec = manifest["metadata"]["name"], manifest.get("spec", {})
        if "template" in spec:
            yield name, spec["template"]["metadata"]["labels"], spec["template"]["spec"]
        elif manifest["kind"] == "InferenceService":
            own = ("minReplicas", "maxReplicas", "scaleMetric", "scaleTarget")
            pod = {key: value for key, value in spec["predictor"].items() if key not in own}
            yield name, {"serving.kserve.io/inferenceservice": name}, pod
