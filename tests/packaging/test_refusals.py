"""What cannot be packed, each with the sentence that says what to do."""

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mnist_torchserve.packaging.errors import PackagingError
from mnist_torchserve.packaging.source import Source, missing_package
from mnist_torchserve.project import ROOT
from mnist_torchserve.training.idx import DatasetError
from tests.packaging.linear import LINEAR, Pack, giving, linear
from tests.support.idx_files import write_shapes


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "import nowhere_to_be_found\n" + LINEAR,
            r"imports `nowhere_to_be_found`.*-m pip install nowhere_to_be_found torch==",
        ),
        ("from sklearn.nowhere import x\n" + LINEAR, r"imports `sklearn`.*pip install scikit-learn"),
        ("def net(: pass", r"my_net cannot be imported: SyntaxError"),
        ("raise SystemExit(0)", r"runs a program when it is imported"),
        ("open('data/train.pt')\n" + LINEAR, r"FileNotFoundError: .*`if __name__ == \"__main__\":`"),
        ("import torch\ntorch.ones(2) @ torch.ones(3)\n" + LINEAR, r"RuntimeError: .*`if __name__ == \"__main__\":`"),
        (
            LINEAR + "\n\nclass Other(Net):\n    pass\n",
            r"Expected one nn.Module class in my_net, got Net, Other: .*--model-class",
        ),
        ("x = 1", r"Expected one nn.Module class in my_net, got none"),
        (LINEAR.replace("classes=10", "classes"), r"--model-args \{\}: missing .*: 'classes'.*a subclass"),
        (
            LINEAR.replace("super()", "import urllib.error; raise urllib.error.URLError('no host')\n        super()"),
            r"tries to download something and fails.*--model-args",
        ),
        (LINEAR.replace("super()", "open('config.yaml')\n        super()", 1), r"The current folder is /.*: run the"),
        (LINEAR.replace("super()", "import nowhere\n        super()", 1), r"Net imports `nowhere`, which is not in"),
        (
            giving("self.out(x)[:, :1]"),
            r"Expected a network .* takes \(B, 784\) and gives one value for an image: let it give .* two classes",
        ),
        (giving("torch.sigmoid(self.out(x))"), r"sigmoids.*--output logits"),
        (giving("nn.functional.dropout(self.out(x.flatten(1)))"), r"training=self.training"),
        (
            giving("self.out(nn.functional.batch_norm(x.flatten(1), None, None, training=True))"),
            r"several images, but not every image alone.*ValueError: Expected more than 1 value per channel",
        ),
        (
            giving(
                "self.out(self.blocks[0](x.flatten(1)))",
                LINEAR.replace("(784, classes)", "(784, classes)\n        self.blocks = [nn.Linear(784, 784)]"),
            ),
            r"Net gives other answers each time.* contains nothing of blocks\. .*nn\.ModuleList",
        ),
        (
            giving("self.out(x.flatten(1) @ noise)", "import torch\nnoise = torch.randn(784, 784)\n" + LINEAR),
            r"Net gives other answers each time",
        ),
        (giving("self.out(x.double())"), r"must have the same dtype.*float32: leave out"),
        (giving("self.out(x.flatten(1) * (1 + (x.ndim > 2)))"), r"--input-shape"),
        (
            giving("{'logits': self.out(x), 'features': x}"),
            r"takes \(B, 784\) and gives a dict with logits, features: let its forward return the tensor",
        ),
        (
            giving("self.out(x).repeat(1, 11)"),
            r"takes \(B, 784\) and gives 110 values for an image, which is too many classes",
        ),
        (
            giving("self.out(x.expand(-1, 3, 28, 28).conv2d())"),
            r"With \(B, 1, 28, 28\), yours fails: AttributeError.* write a class whose forward turns",
        ),
    ],
)
def test_code_that_cannot_be_used(pack: Pack, source: str, words: str) -> None:
    with pytest.raises(PackagingError, match=re.compile(words, re.DOTALL)):
        pack(source)


@pytest.mark.parametrize(
    ("saved", "words"),
    [
        (linear(11), r"of another shape: out.weight \(11, 784\) instead of \(10, 784\), out.bias \(11,\)"),
        ({"out.weight": torch.ones(10, 784)}, r"missing: out.bias"),
        (
            linear() | {f"more{index}": torch.ones(1) for index in range(5)},
            r"unexpected: more0, more1, more2 and 2 more",
        ),
    ],
)
def test_weights_that_cannot_be_used(pack: Pack, saved: Any, words: str) -> None:
    with pytest.raises(PackagingError, match=re.compile(words, re.DOTALL)):
        pack(saved=saved)


@pytest.mark.parametrize(
    "body", ["super().__init__(); self.out = nn.Linear(784, options.classes)", "super().__init__(); options()"]
)
def test_argument_that_json_cannot_hold_has_a_way_out(pack: Pack, body: str) -> None:
    taken = LINEAR.replace("classes=10", "options").replace("super().__init__()", body, 1)
    with pytest.raises(PackagingError, match=r"Net cannot be constructed .*'dict' object.* subclass that passes it on"):
        pack(taken, arguments={"options": {"classes": 10}})


def test_class_of_the_page_hands_an_object_on(pack: Pack) -> None:
    config = "from dataclasses import dataclass\n\n\n@dataclass\nclass Config:\n    hidden: int\n"
    net = LINEAR.replace("classes=10", "config").replace("784, classes", "784, 2 * config.hidden")
    page = (ROOT / "docs" / "your_model.md").read_text()
    [subclass] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    saved = linear(128)
    said = pack(
        config + net.replace("self.out(x)\n", "self.out(x)[:, :10]\n\n\n") + subclass, saved, class_name="Served"
    )
    assert "Served takes (B, 784), gives logits of 10 classes" in said


@pytest.mark.parametrize("torch_version", ["2.13.0", "2.13.0+cpu"])
def test_what_is_missing_comes_without_cuda_beside_a_torch_without_it(
    monkeypatch: pytest.MonkeyPatch, torch_version: str
) -> None:
    monkeypatch.setattr(
        "mnist_torchserve.packaging.source.version", lambda package: torch_version if package == "torch" else "2.4.6"
    )
    said = missing_package("my_net", "torchvision")
    assert f"pip install torchvision torch=={torch_version} numpy==2.4.6" in said
    assert (" --extra-index-url https://" in said) == ("+cpu" in torch_version)


def test_what_is_said_stands_above_what_is_found(pack: Pack, tmp_path: Path) -> None:
    twice = giving("self.out(x.flatten(1) * (1 + (x.ndim > 2)))")
    assert "takes (B, 784)" in pack(twice, shape=(784,))
    assert "logits" in pack(giving("torch.sigmoid(self.out(x))"), meaning="logits")
    assert "Other takes" in pack(LINEAR + "\n\nclass Other(Net):\n    pass\n", class_name="Other")


def test_name_of_another_module_is_refused(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(LINEAR)
    source = Source.of_file(tmp_path / "json.py", None)
    with source.importable(), pytest.raises(PackagingError, match=r"Another module is named json.*rename json\.py"):
        source.load()


def test_file_in_the_checkout_does_not_bring_this_projects_code_along() -> None:
    importlib.import_module("mnist_handler")
    brought = Source("my_model", ROOT, None).files()
    assert [place for place in brought if place.startswith(("handler/", "mnist_torchserve/", "scripts/"))] == []


def test_file_among_this_projects_own_code_is_refused(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_torchserve.packaging.source._OURS", (Path("/"),))
    with pytest.raises(PackagingError, match=r"my_net\.py lies among this project's own code.* move it"):
        pack()
    del sys.modules["my_net"]  # it counts as ours, which stays


def test_class_in_a_package_and_file_in_a_package(tmp_path: Path) -> None:
    folder = tmp_path / "my_project"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "layers.py").write_text("from torch import nn\n\n\ndef out():\n    return nn.Linear(784, 10)\n")
    (folder / "net.py").write_text("from .layers import out\n" + LINEAR.replace("nn.Linear(784, classes)", "out()"))
    for source in (Source.of_name("my_project.net:Net", tmp_path), Source.of_file(folder / "net.py", None)):
        with source.importable():
            assert source.load().__name__ == "Net"
            assert {"my_project/net.py", "my_project/layers.py"} <= set(source.files())
    with pytest.raises(PackagingError, match=r"my_project\.model:MyModel, got my_project"):
        Source.of_name("my_project", tmp_path)


def test_export_that_fails_says_nothing_but_our_sentence(pack: Pack, capfd: pytest.CaptureFixture[str]) -> None:
    said = pack(giving("self.out(x) if x.sum() > 0 else self.out(-x)"))
    assert "cannot be exported to ONNX" in said
    assert capfd.readouterr() == ("", "")


def test_validation_images_of_other_classes_are_refused(tmp_path: Path, pack: Pack) -> None:
    with pytest.raises(DatasetError, match="Expected labels of 2 classes, got the label 2"):
        pack(LINEAR.replace("classes=10", "classes=2"), linear(2), validation=write_shapes(tmp_path / "idx"))


def test_command_says_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "mnist_torchserve.commands", "archive", "--name", "net", "--model-file"]
    done = subprocess.run([*command, tmp_path / "none.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == f"Expected a Python file with the model's class, got {tmp_path}/none.py."
