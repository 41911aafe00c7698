"""Networks as people write them, each with its file of weights and what it is asked to be; all of them small."""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from classifier.types import Pixels, Probabilities
from mnist_torchserve.packaging.package import Brought
from mnist_torchserve.packaging.source import Source

_HEAD = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n\n\nclass Net(nn.Module):\n"
_CONV = """
    def __init__(self, num_classes=10, hidden=16):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, stride=2)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.fc1 = nn.Linear(4 * 13 * 13, hidden)
        self.fc2 = nn.Linear(hidden, num_classes)
"""
_PLAIN = _CONV + "\n    def forward(self, x):\n        return self.fc2(self.fc1(self.conv(x).flatten(1)))\n"
_MLP = """
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 16)
        self.fc2 = nn.Linear(16, 10)
"""

Saved = Callable[[nn.Module], Any]


def state(network: nn.Module) -> Any:
    return network.state_dict()


@dataclass(frozen=True)
class Written:
    """A network as somebody wrote it."""

    body: str  # of the class, below _HEAD
    taken: tuple[int, ...]  # of one image, as it wants it
    means: str = "logits"
    saved: Saved = state
    said: Mapping[str, Any] = field(default_factory=dict)  # options of scripts/archive
    arguments: Mapping[str, Any] = field(default_factory=dict)
    beside: str = ""  # another file, helper.py
    exported: bool = True
    head: str = _HEAD


NETWORKS = {
    "mlp_log_softmax": Written(
        _MLP + "\n    def forward(self, x):\n        return F.log_softmax(self.fc2(torch.relu(self.fc1(x))), dim=1)\n",
        (784,),
        "log-probabilities",
    ),
    "checks_dimensions": Written(
        _CONV
        + """
    def forward(self, x):
        if x.ndim != 4:
            raise ValueError("Expected input to a 4D tensor")
        if x.shape[1] != 1 or x.shape[2] != 28 or x.shape[3] != 28:
            raise ValueError("Expected each sample to have shape [1, 28, 28]")
        return self.fc2(torch.relu(self.fc1(torch.relu(self.conv(x)).flatten(1))))
""",
        (1, 28, 28),
    ),
    "gives_a_tuple": Written(
        _CONV
        + """
    def forward(self, x):
        features = torch.relu(self.fc1(self.conv(x).flatten(1)))
        return self.fc2(features), features
""",
        (1, 28, 28),
    ),
    "has_arguments": Written(
        _PLAIN,
        (1, 28, 28),
        arguments={"num_classes": 26, "hidden": 8},
        said={"labels": [chr(ord("a") + index) for index in range(26)]},
    ),
    "flattens_by_view": Written(
        _MLP
        + """
    def forward(self, x):
        x = x.view(x.shape[0], -1)
        return self.fc2(torch.tanh(self.fc1(x)))
""",
        (784,),
    ),
    "drops_out": Written(
        _CONV
        + """
    def forward(self, x):
        x = self.norm(self.conv(x))
        return F.softmax(self.fc2(self.drop(F.relu(self.fc1(x.flatten(1))))), dim=-1)
""",
        (1, 28, 28),
        "probabilities",
    ),
    "data_parallel": Written(_PLAIN, (1, 28, 28), saved=lambda network: nn.DataParallel(network).state_dict()),
    "lightning": Written(
        _PLAIN,
        (1, 28, 28),
        saved=lambda network: {
            "epoch": 3,
            "state_dict": {f"model.{name}": value for name, value in network.state_dict().items()}
            | {"criterion.weight": torch.ones(10)},
            "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]}],
            "hyper_parameters": {"lr": 1e-3},
        },
    ),
    "float64": Written(
        _MLP + "\n    def forward(self, x):\n        return self.fc2(torch.sigmoid(self.fc1(x)))\n",
        (784,),
        saved=lambda network: {"model": network.double().state_dict(), "epoch": 1},
    ),
    "three_classes": Written(
        _CONV + "\n    def forward(self, x):\n        return self.fc2(self.fc1(self.conv(x).flatten(1))).squeeze()\n",
        (1, 28, 28),
        arguments={"num_classes": 3},
    ),
    "branches": Written(
        _MLP
        + """
    def forward(self, x):
        x = scaled(self.fc1(x))
        if x.sum() > 0:
            x = torch.relu(x)
        return self.fc2(x)
""",
        (784,),
        head="from helper import scaled\n" + _HEAD,
        beside="def scaled(x):\n    return x * 2\n",
        exported=False,
    ),
    "checks_for_nan": Written(
        _MLP
        + """
    def forward(self, x):
        if torch.isnan(x).any():
            raise ValueError("NaN in the input")
        return self.fc2(torch.relu(self.fc1(x)))
""",
        (784,),
        exported=False,
    ),
    "normalised": Written(_PLAIN, (1, 28, 28), said={"mean": 0.1307, "std": 0.3081}),
    "dark_on_light": Written(_PLAIN, (1, 28, 28), said={"inverted": True, "mean": 0.5, "std": 0.5}),
    "keeps_attributes": Written(
        _CONV
        + """
    def forward(self, x):
        self.features = self.norm(self.conv(x))
        self.calls = getattr(self, "calls", 0) + 1
        return self.fc2(self.fc1(self.features.view(x.size(0), -1)))
""",
        (1, 28, 28),
    ),
    "reads_rows": Written(
        """
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(28, 12, batch_first=True)
        self.out = nn.Linear(12, 10)

    def forward(self, x):
        outputs, _ = self.rnn(x)
        return self.out(outputs[:, -1])
""",
        (28, 28),
    ),
    "works_in_place": Written(
        _CONV
        + """
    def forward(self, x):
        x -= 0.1307
        x /= 0.3081
        return self.fc2(self.fc1(self.conv(x).flatten(1)))
""",
        (1, 28, 28),
    ),
    "branches_in_place": Written(
        _MLP
        + """
    def forward(self, x):
        x[:, :28] = 0
        if x.sum() > 0:
            x.mul_(2).sub_(1)
        return self.fc2(torch.relu_(self.fc1(x)))
""",
        (784,),
        exported=False,
    ),
    "decides_by_brightness": Written(
        _MLP
        + """
    def forward(self, x):
        if x.max() > 0.5:
            x = x * 3
        return self.fc2(torch.relu(self.fc1(x)))
""",
        (784,),
        exported=False,
    ),
    "scales_to_the_brightest": Written(
        _MLP + "\n    def forward(self, x):\n        return self.fc2(torch.relu(self.fc1(3 * x / x.max())))\n",
        (784,),
        exported=False,
    ),
    "standardises": Written(
        _MLP
        + """
    def forward(self, x):
        x = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)
        return self.fc2(torch.relu(self.fc1(x)))
""",
        (784,),
    ),
    "counts_with_len": Written(
        _MLP + "\n    def forward(self, x):\n        return self.fc2(torch.relu(self.fc1(x.reshape(len(x), 784))))\n",
        (28, 28),
    ),
}


def write(name: str, folder: Path) -> tuple[Brought, Callable[[Pixels], Probabilities]]:
    """Write a network's files into a folder: what is brought, and what it says itself."""
    written = NETWORKS[name]
    folder.mkdir()
    file, weights = folder / f"{name}.py", folder / "model.pth"
    file.write_text(written.head + written.body)
    if written.beside:
        (folder / "helper.py").write_text(written.beside)
    kind = _load(file)
    torch.manual_seed(len(name))
    network = kind(**written.arguments).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training
            module.running_mean = torch.randn(module.num_features)
            module.running_var = torch.rand(module.num_features) + 0.5
    torch.save(written.saved(network), weights)
    double = kind(**written.arguments).double().eval()  # of twice the precision, and called one image at a time
    double.load_state_dict(network.state_dict())

    def itself(pixels: Pixels) -> Probabilities:
        return torch.cat([_probabilities(written, double, row) for row in torch.from_numpy(pixels)]).float().numpy()

    brought = Brought(
        name=name, network=Source.of_file(file, None), weights=weights, arguments=written.arguments, **written.said
    )
    return brought, itself


def _probabilities(written: Written, network: nn.Module, row: Tensor) -> Tensor:
    said = written.said
    image = (1 - row if said.get("inverted") else row).double()
    image = (image - said.get("mean", 0)) / said.get("std", 1)
    with torch.inference_mode():
        output = network(image.reshape(1, *written.taken))
    output = (output[0] if isinstance(output, tuple) else output).reshape(1, -1)
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "logits": lambda values: values.softmax(1),
        "log-probabilities": torch.exp,
        "probabilities": lambda values: values,
    }
    return ways[written.means](output)


def _load(file: Path) -> Any:
    """The class in a file, by Python's own means."""
    helper = file.with_name("helper.py")
    if helper.exists():
        sys.modules["helper"] = _module("helper", helper)
    try:
        return _module(file.stem, file).Net
    finally:
        sys.modules.pop("helper", None)


def _module(name: str, file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
