"""Reads and checks the gateway's settings, settings.toml, before anything starts.

settings.toml ── load ──> Settings ── configuration.derive ──> Envoy's configuration
"""

import os
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import msgspec
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.ports import Address
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import TorchServe

KEY_LENGTH = 16  # characters; shorter keys can be guessed


class SettingsError(ServiceError):
    """The settings cannot be used. The message says which, where, and what was expected."""


class Node(NamedTuple):
    """A TorchServe that the gateway may send requests to. A draining one only finishes those that it has."""

    inference: Address
    management: Address
    grpc: Address | None = None  # None if it gets no requests by gRPC
    draining: bool = False

    @classmethod
    def of(cls, server: TorchServe, *, draining: bool = False) -> Self:
        """Return the node of a TorchServe on this machine."""
        inference, management = Address.parse(server.inference_url), Address.parse(server.management_url)
        return cls(inference, management, server.grpc_address, draining)


_Rate = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class _NodeEntry(msgspec.Struct, forbid_unknown_fields=True):
    inference: str
    management: str
    grpc: str = ""

    def node(self) -> Node:
        """Return the node with its addresses parsed. SettingsError if one is invalid."""
        grpc = Address.parse(self.grpc) if self.grpc else None
        return Node(Address.parse(self.inference), Address.parse(self.management), grpc)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The contents of settings.toml, which explains each."""

    listen: str = "127.0.0.1:8000"
    metrics: str = "127.0.0.1:8001"
    keys: str = ""
    without_keys: bool = False
    certificate: str = ""
    private_key: str = ""
    client_authority: str = ""
    nodes: list[_NodeEntry] = []
    trusted_proxies: Annotated[int, msgspec.Meta(ge=0, le=10)] = 0
    rate_limit_all: _Rate = 10_000
    rate_limit_client: _Rate = 2_000
    threads: Annotated[int, msgspec.Meta(ge=0, le=1_024)] = 0
    demo: Literal["loopback", "always", "never"] = "loopback"


class Settings(msgspec.Struct, frozen=True):
    """Settings that are ready to use: addresses parsed, files read."""

    listen: Address
    metrics: Address
    keys: list[str]
    certificate: str  # PEM, like the next two; empty if not set
    private_key: str
    client_authority: str
    nodes: list[Node]
    trusted_proxies: int  # in front of the gateway
    rate_limit_all: int  # requests a second
    rate_limit_client: int
    threads: int  # Envoy's; 0 for as many as its processors allow
    demo: bool  # whether the page to draw on is served


def load(path: Path) -> Settings:
    """Read and check a settings file and the files that it names, relative to its folder.

    Raises:
        SettingsError: a name is unknown, a file is missing, or the settings would open the service to strangers.
    """
    try:
        file = msgspec.toml.decode(path.read_bytes(), type=_File)
        listen = Address.parse(file.listen).resolved()
        settings = Settings(
            listen=listen,
            metrics=Address.parse(file.metrics).resolved(),
            keys=_keys(path.parent / file.keys) if file.keys else [],
            certificate=_pem(path.parent, file.certificate, "CERTIFICATE"),
            private_key=_pem(path.parent, file.private_key, "PRIVATE KEY"),
            client_authority=_pem(path.parent, file.client_authority, "CERTIFICATE"),
            nodes=[entry.node() for entry in file.nodes],
            trusted_proxies=file.trusted_proxies,
            rate_limit_all=file.rate_limit_all,
            rate_limit_client=file.rate_limit_client,
            threads=file.threads,
            demo=file.demo == "always" or (file.demo == "loopback" and listen.is_loopback()),
        )
    except (OSError, ValueError, msgspec.DecodeError, SettingsError) as error:
        raise SettingsError(f"{error}; in {path}.") from None
    _require_safe(settings, file.without_keys, path)
    return settings


def _require_safe(settings: Settings, without_keys: bool, path: Path) -> None:
    if not settings.listen.is_loopback() and not settings.keys and not without_keys:
        raise SettingsError(
            f"`listen` is {settings.listen}, which other machines reach, and there are no keys: "
            f"name a file of API keys in `keys`, or allow everybody with `without_keys = true`; in {path}."
        )
    if bool(settings.certificate) != bool(settings.private_key):
        raise SettingsError(f"Expected both `certificate` and `private_key`, or neither, got one; in {path}.")
    if settings.client_authority and not settings.certificate:
        raise SettingsError(f"`client_authority` wants `certificate` and `private_key` as well; in {path}.")


def _require_private(path: Path) -> None:
    """Refuse a secret of this user that others can read, as ssh does.

    In a container, a mounted secret may belong to another user, who decides who can read it.
    """
    state = path.stat()
    if state.st_uid == os.geteuid() and state.st_mode & 0o077:
        raise SettingsError(
            f"Other users of this machine can read {path} (mode {state.st_mode & 0o777:o}): run `chmod 600 {path}`"
        )


def _keys(path: Path) -> list[str]:
    if path.resolve().is_relative_to(ROOT):
        raise SettingsError(f"The keys in {path} could be committed with the repository: keep them outside of {ROOT}")
    _require_private(path)
    keys = [line.strip() for line in path.read_text().splitlines()]
    keys = [key for key in keys if key and not key.startswith("#")]
    if not keys:
        raise SettingsError(f"Expected one API key a line, got none - in {path}")
    for number, key in enumerate(keys, 1):
        if len(key) < KEY_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
            # The message does not contain the key, since a log may keep it.
            raise SettingsError(
                f"Expected at least {KEY_LENGTH} ASCII characters without spaces as an API key, "
                f"key {number} is not that - in {path}. `openssl rand -hex 32` makes one"
            )
    return keys


def _pem(folder: Path, name: str, kind: str) -> str:
    if not name:
        return ""
    text = (folder / name).read_text()
    if kind == "PRIVATE KEY":
        _require_private(folder / name)
    if f"{kind}-----" not in text:
        raise SettingsError(f"Expected a PEM file with a {kind.lower()}, got none - in {folder / name}")
    return text
