"""The architecture, as far as scripts/lint does not see it."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from classifier import types as served
from mnist_torchserve import contract
from mnist_torchserve.project import ROOT


def trees(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for file in (ROOT / folder).rglob("*.py"):
            yield file, ast.parse(file.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)


def test_nothing_imports_tests_and_no_path_is_edited() -> None:
    for file, tree in trees("handler", "mnist_torchserve", "scripts"):
        assert not [name for name in imported(tree) if name.partition(".")[0] == "tests"], file
    for file, tree in trees("handler", "mnist_torchserve", "scripts", "tests"):
        paths = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "path"]
        assert not [path for path in paths if isinstance(path.value, ast.Name) and path.value.id == "sys"], file


def test_no_two_classes_have_one_name() -> None:
    places = defaultdict(list)
    for file, tree in trees("handler", "mnist_torchserve", "tests"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name.strip("_")].append(file)
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_each_verb_is_a_script_that_hands_over_to_its_command() -> None:
    scripts = {file.name for file in (ROOT / "scripts").iterdir() if file.is_file() and not file.suffix}
    commands = {file.stem for file in (ROOT / "mnist_torchserve" / "commands").glob("[!_]*.py")}
    assert scripts == commands
    for verb in scripts:
        [*_, last] = ast.parse((ROOT / "scripts" / verb).read_text()).body
        assert ast.unparse(last) == f"bootstrap.run('{verb}')"


def test_what_is_expected_from_outside_is_what_is_served() -> None:
    """The contract is written twice on purpose, lest a change of the one goes unseen."""
    assert contract.PIXELS == served.PIXELS
    assert {bad.status for bad in contract.BAD_INPUTS} <= {int(status) for status in served.REASONS.values()}
