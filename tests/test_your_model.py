"""docs/your_model.md: every command is run, in a copy of the checkout, on a class and on images that nobody knows."""

import json
import re

import torch
from torch import nn
from mnist_torchserve.project import ROOT
from tests.support.checkout import Checkout
from tests.support.idx_files import write_shapes
from tests.test_readme import blocks, commands

CLASS = """
import torch
from torch import nn


class MyAwesomeModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Linear(784, 12)
        self.out = nn.Linear(12, 10)

    def forward(self, x):
        if x.ndim != 4:
            raise ValueError("Expected input to a 4D tensor")
        return torch.log_softmax(self.out(torch.relu(self.features(x.flatten(1)))), dim=1)
"""


def quick(command: str) -> str:
    """A command as typed, but with a look of seconds where it would take minutes."""
    command = command.replace("scripts/train", "scripts/train --epochs 8 --seeds 1").replace("curl", "curl -s")
    # A verdict on a busy machine may be anything.
    return re.sub(r"(scripts/loadtest.*)", r"\1 --run-time 3 || true", command).replace("pytest ", "pytest -q -n0 ")


def test_page_works_as_typed(checkout: Checkout) -> None:
    layers = nn.ModuleDict({"features": nn.Linear(784, 12), "out": nn.Linear(12, 10)})
    torch.save(layers.state_dict(), checkout.root / "model.pth")
    (checkout.root / "my_model.py").write_text(CLASS)
    write_shapes(checkout.root / "fashion", first=1)
    (checkout.root / "labels.txt").write_text("across\ndown\nsquare\n")
    printed: dict[str, list[str]] = {}
    for language, block in blocks((ROOT / "docs" / "your_model.md").read_text()):
        for command in commands(block) if language == "sh" else ():
            said = checkout.run(checkout.on_own_ports(quick(command)), timeout=170)
            printed.setdefault(command.split()[0].removeprefix("scripts/"), []).append(said)
    awesome, _ = printed["archive"]
    assert "takes (B, 1, 28, 28), gives log-probabilities of 10 classes" in awesome
    predicted, named, listed = map(json.loads, printed["curl"])
    assert predicted.keys() == {"prediction", "confidence"}
    assert named["label"] in ("across", "down", "square")
    assert listed == {"models": ["fashion", "awesome"]}
    assert all(re.search(r"\d+ of \d+ objectives met", said) for said in printed["loadtest"])
    assert " passed" in printed["API_MODEL=awesome"][0]
