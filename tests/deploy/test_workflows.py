"""The workflows: what GitHub would refuse, and what would make them unsafe."""

import pytest
from mnist_torchserve.project import ROOT
from tests.support import programs

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


@pytest.mark.parametrize(
    "check",
    [["zizmor", "--offline", "--no-progress"], ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"]],
    ids=lambda check: str(check[0]),
)
def test_workflows_are_valid_and_safe(check: list[str]) -> None:
    assert WORKFLOWS
    programs.assert_content(programs.of_package(check[0]), *check[1:], *WORKFLOWS)
