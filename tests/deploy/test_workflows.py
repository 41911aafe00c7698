"""The workflows: what GitHub would refuse, and what would make them unsafe."""

import tomllib

import pytest
import yaml
from mnist_torchserve.project import ROOT
from tests.support import bootstrap as loader
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


def test_dependabot_understands_its_settings() -> None:
    file = ROOT / ".github" / "dependabot.yml"
    programs.assert_content(programs.of_package("check-jsonschema"), "--builtin-schema", "vendor.dependabot", file)
    programs.assert_content(programs.of_package("zizmor"), "--offline", "--no-progress", file)


def test_suite_runs_on_every_python_that_is_supported() -> None:
    bootstrap = loader.load()
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yaml").read_text())["jobs"]["check"]
    minors = range(bootstrap.OLDEST[1], bootstrap.NEWEST[1] + 1)
    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in minors]
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pyproject["project"]["requires-python"] == f">=3.{minors[0]},<3.{minors[-1] + 1}"
