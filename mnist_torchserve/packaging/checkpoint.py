"""Weights in a file that torch.save wrote: the state_dict in it, and how it fits a network."""

import inspect
import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from . import pickled
from .errors import PackagingError, one_line
from .pickled import USUAL_KEYS
from .source import install_line

_SHOWN = 3  # names in a message

State = dict[str, Tensor]


def read(path: Path, module: str = "my_model") -> State:
    """The state_dict in a file: all of it, under a usual key, or the only one in it. No code of the file is run.

    Args:
        path: of the file.
        module: where its network's class is, for messages.

    Raises:
        PackagingError: there is none, or not without running code.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            saved = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise PackagingError(f"There is no file {path}.") from None
    except Exception as error:  # a file can be broken in every way
        raise _unread(path, error, module) from None
    state = _state(saved)
    if state is None:
        raise _without_weights(path, saved)
    return state


def arguments(path: Path, kind: type[nn.Module], given: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor's arguments that a checkpoint holds, as Lightning's `hyper_parameters`, with those given.

    They are empty if the file holds none, or no others.
    """
    found = pickled.read(path)
    parameters = inspect.signature(kind).parameters
    best: dict[str, Any] = {}
    for held in pickled.plain_mappings(found.content) if found else ():
        named = {name: value for name, value in held.items() if name in parameters}
        best = max(best, named, key=len)
    new = {name: value for name, value in best.items() if value != given.get(name, parameters[name].default)}
    return {**given, **new} if new else {}


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
    remarks = [f"removed the prefix {prefix} from the weights' names"] if prefix else []
    if prefix:
        left = [name for name in state if not name.startswith(prefix)]
        remarks += [f"left out {_listed(left)}, without that prefix"] if left else []
        state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    shapes = [
        f"{name} {tuple(value.shape)} instead of {tuple(expected[name].shape)}"
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


def incomplete(network: nn.Module, path: Path) -> PackagingError:
    """That weights which fit leave parts of a network random, and which these may be."""
    hidden = [
        ".".join(filter(None, [place, name]))
        for place, module in network.named_modules()
        for name, value in vars(module).items()
        if not name.startswith("_") and any(isinstance(each, Tensor | nn.Module) for each in _parts(value))
    ]
    where = f" The state_dict contains nothing of {_listed(hidden)}." if hidden else ""
    return PackagingError(
        f"With the weights in {path}, {type(network).__name__} gives other answers each time that it is constructed: "
        f"some of its parts are random and not in its state_dict.{where} Put layers into nn.ModuleList or "
        "nn.ModuleDict and tensors into nn.Parameter or register_buffer, train it again, and save its state_dict."
    )


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else [value]


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


def _unread(path: Path, error: Exception, module: str) -> PackagingError:
    """Why torch.load cannot read a file, and what can be done."""
    if "safetensors" in str(error):
        return PackagingError(
            f"{path} needs the package `safetensors`, which is not in this environment: install it with "
            f"`{install_line('safetensors')}`."
        )
    found = pickled.read(path)
    if found is None:
        why = "" if isinstance(error, pickle.UnpicklingError) else f": {one_line(error)}"
        return PackagingError(f"{path} is not a file that torch.save wrote{why}.")
    whole = isinstance(found.content, pickled.Inert)
    name = "model" if whole else "checkpoint"
    place = pickled.state_dict(found.content, name)
    if place is None and not whole:
        return _without_weights(path, found.content)
    code = re.search(r"GLOBAL ([\w.]+)", str(error))
    what = "TorchScript" if "jit" in found.load else f"a pickled {code[1]}" if code else "a pickled object"
    imports = ["import pickle, torch" if found.load.startswith("pickle") else "import torch"]
    if found.in_script:
        imports.append(f"from {module} import {', '.join(found.in_script)}")
    lines = [*imports, f"{name} = {found.load}", f'torch.save({place or "model.state_dict()"}, "state_dict.pth")']
    return PackagingError(
        f"{path} holds {what}. Expected a state_dict, which runs no code. If you trust the file and have its code, "
        "save a state_dict with these lines:" + "".join(f"\n    {line}" for line in lines)
    )


def _without_weights(path: Path, saved: Any) -> PackagingError:
    held = f"a dict with {_listed(saved)}" if isinstance(saved, Mapping) else f"a {type(saved).__name__}"
    several = [key for key, value in saved.items() if _is_state(value)] if isinstance(saved, Mapping) else []
    advice = (
        f' Save the right one alone: `torch.save(torch.load("{path}")[{several[0]!r}], "state_dict.pth")`.'
        if several
        else ""
    )
    return PackagingError(
        f"Expected a state_dict in {path}, alone or under one of {', '.join(USUAL_KEYS)}, got {held}.{advice}"
    )


def _listed(names: Any) -> str:
    shown = [str(name) for name in names]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
