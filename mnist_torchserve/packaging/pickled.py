"""What a pickle holds, told without running its code: no class of it is imported, and no function of it called."""

import io
import json
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch.serialization import MAGIC_NUMBER

USUAL_KEYS = ("state_dict", "model_state_dict", "model")
_DEPTH = 3  # of a place in a file, such as checkpoint["state"]["model"]
_TENSOR = re.compile(r"torch\._(utils|tensor)\._rebuild_\w+")
_ARRAY = re.compile(r"numpy\._?core\.(multiarray\._reconstruct|numeric\._frombuffer)")


class Inert(dict[Any, Any]):
    """Stands for an object, or for what a function would return: what the pickle puts into it, and its attributes."""

    attributes: dict[str, Any]

    # Unpickling calls these.
    def __new__(cls, *_: Any, **__: Any) -> "Inert":  # noqa: D102 - as said above
        made = super().__new__(cls)
        made.attributes = {}
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __call__(self, *_: Any, **__: Any) -> "Inert":  # noqa: D102 - as said above
        return Inert()

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):  # with slots, it is two dicts
            if isinstance(part, dict):
                self.attributes.update(part)

    def append(self, _: Any) -> None:
        """What a list has."""

    def extend(self, _: Any) -> None:
        """What a list has."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # a pickle may put it into a set

    @classmethod
    def origin(cls) -> str:
        """The full name of the class or function."""
        return f"{cls.__module__}.{cls.__name__}"

    @property
    def is_network(self) -> bool:
        """Whether it is an nn.Module."""
        return {"_modules", "_parameters"} <= self.attributes.keys()


class Pickled(NamedTuple):
    """What a file holds, and how it is loaded by Python."""

    content: Any
    load: str  # a call
    in_script: list[str]  # classes of the script that wrote it, which the file calls __main__


class _Reader(pickle.Unpickler):
    in_script: list[str]

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "__main__" and name.isidentifier() and name not in self.in_script:
            self.in_script.append(name)
        return type(name, (Inert,), {"__module__": module})

    def persistent_load(self, held: Any) -> Any:
        """A tensor's storage, or a class with its source, as torch's older format has it."""
        return held[1] if held[0] == "module" else None


def read(path: Path) -> Pickled | None:
    """What a file holds that torch.save or pickle wrote, with `Inert` for all that is code. None if it is neither."""
    named = json.dumps(str(path), ensure_ascii=False)
    options = f'{named}, map_location="cpu"'
    load = f"torch.load({options}, weights_only=False)"
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
                content = archive.read(next(name for name in names if name.endswith("/data.pkl")))
            reader = _reader(io.BytesIO(content))
            if any(name.endswith("/constants.pkl") for name in names):  # TorchScript
                return Pickled(Inert(), f"torch.jit.load({options})", [])
            return Pickled(reader.load(), load, reader.in_script)
        with path.open("rb") as file:
            reader = _reader(file)
            held = reader.load()
            if held != MAGIC_NUMBER:
                return Pickled(held, f'pickle.load(open({named}, "rb"))', reader.in_script)
            for _ in ("the version", "the machine"):  # of torch's older format
                reader.load()
            return Pickled(reader.load(), load, reader.in_script)
    except Exception:  # a pickle can be broken in every way
        return None


def _reader(file: Any) -> _Reader:
    reader = _Reader(file)
    reader.in_script = []
    return reader


def state_dict(value: Any, name: str) -> str | None:
    """Python that gives the state_dict in what `read` found, which it calls `name`: the outermost, of a usual key."""
    for place, each in _walk(value, name):
        if isinstance(each, Inert) and each.is_network:
            return f"{place}.state_dict()"
        if isinstance(each, Mapping) and each and all(_is(part, _TENSOR) for part in each.values()):
            return place
        if isinstance(each, Mapping) and each and all(_is(part, _ARRAY) for part in each.values()):
            return f"{{name: torch.as_tensor(value) for name, value in {place}.items()}}"
    return None


def plain_mappings(value: Any) -> Iterator[dict[str, Any]]:
    """What can be written as JSON in each mapping and object in what `read` found, the outermost first."""
    for _, each in _walk(value, ""):
        if isinstance(each, Mapping):
            held = {**each, **each.attributes} if isinstance(each, Inert) else each
            yield {key: item for key, item in held.items() if isinstance(key, str) and _is_plain(item)}


def _walk(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """A value, its parts and theirs, the outermost first, and where they are in what is called `name`."""
    level = [(name, value)]
    for _ in range(_DEPTH):
        yield from level
        level = [inner for place, each in level for inner in _inside(place, each)]


def _inside(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a value, those under usual keys first, and where they are."""
    if isinstance(value, list | tuple):
        yield from ((f"{place}[{index}]", item) for index, item in enumerate(value))
    if isinstance(value, Mapping):
        for key in sorted(value, key=lambda key: USUAL_KEYS.index(key) if key in USUAL_KEYS else len(USUAL_KEYS)):
            yield f"{place}[{json.dumps(key) if isinstance(key, str) else repr(key)}]", value[key]
    if isinstance(value, Inert):
        yield from ((f"{place}.{key}", item) for key, item in value.attributes.items() if key.isidentifier())


def _is(value: Any, origin: re.Pattern[str]) -> bool:
    return isinstance(value, Inert) and origin.fullmatch(value.origin()) is not None


def _is_plain(value: Any) -> bool:
    if type(value) in (list, tuple, dict):
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        return all(map(_is_plain, inner))
    return value is None or type(value) in (str, int, float, bool)
