"""TorchServe's settings, config.properties."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.ports import Address, free_ports
from mnist_torchserve.project import ROOT

CONFIG = ROOT / "config.properties"

_APIS = ("inference", "management", "metrics")
_GRPC_APIS = ("inference", "management")
# TorchServe's defaults for settings that the file does not have.
_DEFAULTS = {f"{api}_address": f"http://127.0.0.1:{8080 + number}" for number, api in enumerate(_APIS)}
_DEFAULTS |= {f"grpc_{api}_address": "127.0.0.1" for api in _GRPC_APIS}
_DEFAULTS |= {f"grpc_{api}_port": str(7070 + number) for number, api in enumerate(_GRPC_APIS)}


def read_properties(path: Path = CONFIG) -> dict[str, str]:
    """Read the settings of a .properties file.

    Raises:
        ServiceError: `torchserve --start` itself would not read a line, or the file does not exist.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ServiceError(f"{path} cannot be read: {error.strerror}.") from None
    settings = {}
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError:
            raise ServiceError(f"Expected UTF-8, got other bytes; in {path}, line {number}.") from None
        if not text or text.startswith(("#", "!")):
            continue
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or not text.isascii() or text.endswith("\\"):
            raise ServiceError(
                f"Expected `key=value` on one line and in ASCII, as torchserve itself reads it, got `{text}`; "
                f"in {path}, line {number}."
            )
        settings[key.strip()] = value.strip()
    return settings


def addresses(settings: Mapping[str, str], path: Path) -> dict[str, Address]:
    """Return where TorchServe listens, by API: three for HTTP, then `grpc_inference` and `grpc_management`.

    Raises:
        ServiceError: it cannot listen on one of them. The message names `path`.
    """
    told = {**_DEFAULTS, **settings}
    found = {}
    for api in _APIS:
        key = f"{api}_address"
        try:
            if not told[key].startswith("http://"):
                raise ValueError(f'Expected an address like "http://127.0.0.1:8080", got "{told[key]}"')
            found[api] = Address.parse(told[key])
            if ":" in found[api].host:
                raise ValueError(f"TorchServe takes no IPv6 address, only a name or IPv4, got {told[key]}")
        except ValueError as error:
            raise ServiceError(f"{error}; in {path}, `{key}`.") from None
    for api in _GRPC_APIS:
        host, port = (told[f"grpc_{api}_{part}"] for part in ("address", "port"))
        try:
            found[f"grpc_{api}"] = Address.parse(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        except ValueError as error:
            raise ServiceError(f"{error}; in {path}, `grpc_{api}_address` and `grpc_{api}_port`.") from None
    return found


def models(settings: Mapping[str, str], model_store: Path) -> list[str]:
    """Return the models that `load_models` lists, in its order. `all` means those in the model store.

    As for TorchServe, a model's name is the one before `=`, or else the one in its archive, which two versions share.
    """
    listed = settings.get("load_models", "")
    if listed.lower() == "all":
        listed = ",".join(sorted(file.name for file in model_store.glob("*.mar")))
    parts = [each.strip().partition("=") for each in listed.split(",") if each.strip()]
    return list(dict.fromkeys(name if file else _name_in(model_store / name) for name, _, file in parts))


def _name_in(archive: Path) -> str:
    """Return the model's name that an archive contains, or that of its file if it is elsewhere, as for a gateway."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return str(json.loads(opened.read("MAR-INF/MANIFEST.json"))["model"]["modelName"])
    except (OSError, zipfile.BadZipFile, LookupError, ValueError):
        return archive.stem


def write_on_free_ports(folder: Path, settings: Mapping[str, str]) -> Path:
    """Write settings as a config.properties into `folder`, with free ports where they name none."""
    ports = free_ports(len(_APIS) + len(_GRPC_APIS))
    free = {f"{api}_address": f"http://127.0.0.1:{ports.pop()}" for api in _APIS}
    free |= {f"grpc_{api}_port": str(ports.pop()) for api in _GRPC_APIS}
    file = folder / "config.properties"
    file.write_text("".join(f"{key}={value}\n" for key, value in {**free, **settings}.items()))
    return file
