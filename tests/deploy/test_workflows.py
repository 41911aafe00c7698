"""The workflows: what GitHub would refuse, and what would make them unsafe."""

import subprocess
import sys
from pathlib import Path

import pytest
from mnist_torchserve.project import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


@pytest.mark.parametrize(
    "check",
    [["zizmor", "--offline", "--no-progress"], ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"]],
    ids=lambda check: str(check[0]),
)
def test_workflows_are_valid_and_safe(check: list[str]) -> None:
    assert WORKFLOWS
    program = str(Path(sys.executable).with_name(check[0]))
    done = subprocess.run([program, *check[1:], *WORKFLOWS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
