"""Files of weights: where the weights are found, and what works on a file that cannot be read as it is."""

import argparse
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from mnist_torchserve.packaging import checkpoint
from mnist_torchserve.packaging.errors import PackagingError
from mnist_torchserve.packaging.package import Brought, package
from mnist_torchserve.packaging.source import Source
from tests.packaging.linear import LINEAR, Pack, linear

HIDDEN = LINEAR.replace("classes=10", "hidden=16, classes=10").replace(
    "self.out = nn.Linear(784, classes)", "self.out = nn.Sequential(nn.Linear(784, hidden), nn.Linear(hidden, classes))"
)


def in_main(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A network whose class was in the script that saved it."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(LINEAR, scope)  # noqa: S102 - our own
    monkeypatch.setattr(sys.modules["__main__"], "Net", scope["Net"], raising=False)
    return scope["Net"]()


def old(value: Any, path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):  # torch looks for the source of a class that has none
        torch.save(value, path, _use_new_zipfile_serialization=False)


def plain(value: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(value))


def scripted(value: Any, path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):  # it is deprecated, but people have such files
        torch.jit.trace(value, torch.zeros(1, 784)).save(str(path))  # type: ignore[no-untyped-call]  # torch's


Save = Callable[[Any, Path], Any]


def test_lines_that_are_said_save_the_state_dict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_net.py").write_text(LINEAR)
    net, layer = in_main(monkeypatch), nn.Linear(784, 10)
    state = dict(net.state_dict())
    best, hyper = np.float64(0.9), argparse.Namespace(hidden=48)
    cases: list[tuple[Any, Save]] = [
        ({"state_dict": state, "best_acc": best}, torch.save),
        ({"best_acc": best, "ema": state, "model": state}, torch.save),
        ({"epoch": 1, "weights of it": state, "date": np.datetime64("2026-01-01")}, torch.save),
        ({"state_dict": state, "hyper_parameters": hyper}, torch.save),
        ({"state": {"net": state, "options": hyper}}, torch.save),
        ([state, hyper], torch.save),
        ({"model": net, "optimizer": torch.optim.Adam(net.parameters()).state_dict()}, torch.save),
        ((net, best), torch.save),
        (SimpleNamespace(network=net, best=best), torch.save),
        (net, torch.save),
        (nn.DataParallel(net), torch.save),
        ({name: value.numpy() for name, value in state.items()}, torch.save),
        ({"params": {name: value.numpy() for name, value in state.items()}}, plain),
        ({"state_dict": state, "best_acc": best}, old),
        (net, old),
        (state, plain),
        (net, plain),
        (layer, torch.save),
        (net, scripted),
    ]
    script = ["import warnings", 'warnings.simplefilter("ignore")']
    for index, (saved, save) in enumerate(cases):
        path = tmp_path / f"model {index}.pth"
        save(saved, path)
        with pytest.raises(PackagingError) as refused:  # and without a warning, which would be another error
            checkpoint.read(path, "my_net")
        said, _, lines = str(refused.value).partition("lines:\n")
        assert re.match(rf"{path} holds (a pickled|TorchScript)", said), said
        assert "GLOBAL" not in said
        script += [f"print({index})", *map(str.strip, lines.splitlines())]
        script += ["import os", f"os.rename('state_dict.pth', 'state_{index}.pth')"]
    (tmp_path / "lines.py").write_text("\n".join(script))
    done = subprocess.run([sys.executable, "lines.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n" + "\n".join(script)
    for index in range(len(cases)):
        found = checkpoint.read(tmp_path / f"state_{index}.pth")
        expected = layer.state_dict() if cases[index][0] is layer else state
        found = {name.removeprefix("module."): value for name, value in found.items()}
        assert found.keys() == expected.keys(), cases[index]
        assert all(torch.equal(found[name], expected[name]) for name in expected)


class Dangerous:
    """Writes a file when it is unpickled as Python does it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("save", [torch.save, old, plain])
def test_no_code_of_a_file_runs(tmp_path: Path, save: Save) -> None:
    save({"state_dict": linear(), "more": Dangerous(tmp_path / "ran")}, tmp_path / "model.pth")
    with pytest.raises(PackagingError, match=r'checkpoint\["state_dict"\]'):
        checkpoint.read(tmp_path / "model.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("saved", "held"),
    [
        ({"loss": 0.1, "epoch": 3}, "a dict with loss, epoch"),
        ({"net": linear(), "ema_net": linear()}, r"a dict with net, ema_net.* Save .*\[\'net\'\], \"state_dict\.pth"),
        ([torch.ones(1)], "a list"),
        ({"best": np.float64(1), "epoch": 3}, "a dict with best, epoch"),  # which torch does not load
        ([np.float64(1)], "a list"),
    ],
)
def test_file_without_weights(tmp_path: Path, saved: Any, held: str) -> None:
    torch.save(saved, tmp_path / "model.pth")
    with pytest.raises(PackagingError, match=rf"Expected a state_dict .* got {held}"):
        checkpoint.read(tmp_path / "model.pth")


@pytest.mark.parametrize("content", [b"dummy\n", pickle.dumps(linear())[:5000]], ids=["other", "damaged"])
def test_what_is_no_file_of_torch_is_not_called_code(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pth").write_bytes(content)
    with pytest.raises(PackagingError, match=r"model\.pth is not a file that torch\.save wrote"):
        checkpoint.read(tmp_path / "model.pth")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "optimizer": {"state": {}}},
        lambda state: {"model_state_dict": state},
        lambda state: {"net": state, "epoch": 1},
        lambda state: {"module." + name: value for name, value in state.items()},
        lambda state: {"state_dict": {"net._orig_mod." + name: value for name, value in state.items()}},
        lambda state: {name: value.half() for name, value in state.items()},
    ],
)
def test_weights_are_found_wherever_they_usually_are(tmp_path: Path, wrap: Callable[[dict[str, Any]], Any]) -> None:
    path, state, network = tmp_path / "model.pth", linear(), nn.ModuleDict({"out": nn.Linear(784, 10)})
    torch.save(wrap(state), path)
    checkpoint.fit(network, checkpoint.read(path), path)
    assert all(torch.equal(value.half(), state[name].half()) for name, value in network.state_dict().items())


def test_package_that_reads_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(PackagingError, match=r"`safetensors`.*-m pip install safetensors torch==\S+ numpy=="):
        checkpoint.read(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "held",
    [
        {"hyper_parameters": {"hidden": 48, "lr": 0.1}},
        {"config": {"hidden": 48, "data": "x"}, "epoch": 2},
        {"hidden": 48},
        {"extra": {"model": {"hidden": 48, "classes": 10}}},
    ],
    ids=["lightning", "config", "beside", "nested"],
)
def test_arguments_in_a_checkpoint_are_named(pack: Pack, held: dict[str, Any]) -> None:
    wider = nn.Sequential(nn.Linear(784, 48), nn.Linear(48, 10))
    saved = {"state_dict": {f"out.{name}": value for name, value in wider.state_dict().items()}, **held}
    said = re.escape("""The file contains arguments of Net: try --model-args '{"hidden": 48}'.""")
    with pytest.raises(PackagingError, match=rf"of another shape: .*{said}"):
        pack(HIDDEN, saved)
    with pytest.raises(PackagingError, match=rf"missing a required argument: 'hidden'.*{said}"):
        pack(HIDDEN.replace("hidden=16", "hidden"), saved)
    assert "logits of 10 classes" in pack(HIDDEN, saved, arguments={"hidden": 48})


def test_arguments_are_not_named_where_they_do_not_help(pack: Pack) -> None:
    with pytest.raises(PackagingError, match="of another shape") as refused:
        pack(LINEAR, {"state_dict": linear(11), "config": {"classes": 10, "lr": 0.1}})
    assert "--model-args" not in str(refused.value)


def test_weights_are_wanted_before_the_network_is_asked(tmp_path: Path) -> None:
    (tmp_path / "my_net.py").write_text(LINEAR)
    brought = Brought(name="net", network=Source.of_file(tmp_path / "my_net.py", None))
    with pytest.raises(PackagingError, match=r"weights of Net, got none: name their file with --weights"):
        package(brought, tmp_path / "packed" / "archive", lambda _: None)
