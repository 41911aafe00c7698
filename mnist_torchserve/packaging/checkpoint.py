"""Weights in a file that torch.save wrote: the state_dict in it, and how it fits a network."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from .errors import PackagingError, one_line

USUAL_KEYS = ("state_dict", "model_state_dict", "model")
_SHOWN = 3  # names in a message

State = dict[str, Tensor]


def read(path: Path) -> State:
    """The state_dict in a file: all of it, under a usual key, or the only one in it. No code of the file is run.

    Raises:
        PackagingError: there is none, or not without running code.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise PackagingError(f"There is no file {path}.") from None
    except pickle.UnpicklingError as error:
        if path.read_bytes()[:1] not in (b"P", b"\x80"):  # a zip, or a pickle
            raise PackagingError(f"{path} is not a file that torch.save wrote.") from None
        raise _pickled(path, str(error)) from None
    except Exception as error:  # a file can be broken in every way
        if "TorchScript" in str(error):
            raise _pickled(path, "TorchScript") from None
        raise PackagingError(f"{path} is not a file that torch.save wrote: {one_line(error)}.") from None
    state = _state(saved)
    if state is None:
        held = f"a dict with {_listed(saved)}" if isinstance(saved, Mapping) else f"a {type(saved).__name__}"
        raise PackagingError(
            f"Expected a state_dict in {path}, alone or under one of {', '.join(USUAL_KEYS)}, got {held}."
        )
    return state


def fit(network: nn.Module, state: State, path: Path) -> list[str]:
    """Load weights into a network, whatever prefix has been put before their names.

    Args:
        network: takes them.
        state: what `read` found.
        path: of the file, for messages.

    Returns:
        Remarks: what was done to the names.

    Raises:
        PackagingError: they are not the network's.
    """
    expected = network.state_dict()
    prefix = _prefix(set(expected), set(state))
    remarks = [f"took the prefix {prefix} off the weights' names"] if prefix else []
    if prefix:
        left = [name for name in state if not name.startswith(prefix)]
        remarks += [f"left out {_listed(left)}, which do not have it"] if left else []
        state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    shapes = [
        f"{name} {tuple(value.shape)} where {tuple(expected[name].shape)} is expected"
        for name, value in state.items()
        if name in expected and not is_lazy(expected[name]) and value.shape != expected[name].shape
    ]
    missing = [name for name in expected if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in expected]
    problems = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    if any(problems.values()):
        said = "; ".join(f"{kind}: {_listed(names)}" for kind, names in problems.items() if names)
        raise PackagingError(f"The weights in {path} are not those of {type(network).__name__}: {said}.")
    network.load_state_dict(state, strict=False)
    return remarks


def _state(saved: Any) -> State | None:
    if _is_state(saved):
        return dict(saved)
    if not isinstance(saved, Mapping):
        return None
    for key in USUAL_KEYS:
        if _is_state(saved.get(key)):
            return dict(saved[key])
    inner = [value for value in saved.values() if _is_state(value)]
    return dict(inner[0]) if len(inner) == 1 else None


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(each, Tensor) for each in value.values())


def _prefix(expected: set[str], found: set[str]) -> str:
    """What stands before every expected name in what was found, as DataParallel, Lightning or torch.compile put it."""
    if not expected or expected <= found:
        return ""
    first = min(expected)
    candidates = {name.removesuffix(first) for name in found if name.endswith(f".{first}")}
    fitting = [candidate for candidate in candidates if {candidate + name for name in expected} <= found]
    return min(fitting, key=len, default="")


def _pickled(path: Path, reason: str) -> PackagingError:
    named = re.search(r"GLOBAL ([\w.]+)", reason)
    what = f"a pickled {named[1]}" if named else "TorchScript" if reason == "TorchScript" else "pickled code"
    load = "torch.jit.load" if reason == "TorchScript" else "torch.load"
    options = "" if reason == "TorchScript" else ", weights_only=False"
    return PackagingError(
        f"{path} holds {what}, where a state_dict is expected, which runs no code. Where you trust the file and have "
        f'its code, write one with these two lines:\n    model = {load}("{path.name}", map_location="cpu"{options})\n'
        f'    torch.save(model.state_dict(), "state_dict.pth")'
    )


def _listed(names: Any) -> str:
    shown = [str(name) for name in names]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
