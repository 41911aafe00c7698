"""Turns pip's configuration, from its files and the environment, into uv's variables: a mirror, a proxy, certificates.

Otherwise uv would ignore a company's mirror or a folder of wheels. Variables that are set for uv itself do not change.
"""

from __future__ import annotations

import ast
import os
import subprocess
from collections.abc import Callable

# Variables that name places to look for packages.
SOURCES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX")


def for_uv(pip: list[str]) -> dict[str, str]:
    """Return the environment for uv: ours, and what `pip config list` shows."""
    found: dict[str, str] = {}
    options = _options(pip)
    for option, (variable, convert) in _VARIABLES.items():
        if value := options.get(option):
            found[variable] = convert(value)
    if bundle := os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE"):
        found.setdefault("SSL_CERT_FILE", bundle)
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        if "proxy" in options:
            found[name] = options["proxy"]
    # pip chooses among several places like this. Packages from any place must have the hash in the lock.
    found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {**found, **os.environ}


def _options(pip: list[str]) -> dict[str, str]:
    """Return each option with its value. The environment overrides the section `install`, which overrides `global`."""
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, encoding="utf-8", errors="replace")
    options: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in listed.stdout.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(section):
                options[name[len(section) :]] = str(ast.literal_eval(value))
    if "default-timeout" in options:
        options.setdefault("timeout", options["default-timeout"])
    return options


def _places(separator: str) -> Callable[[str], str]:
    """Return a converter for addresses and folders. It makes folders absolute and, like pip, skips missing ones."""

    def convert(value: str) -> str:
        places = []
        for place in value.split():
            path = place.removeprefix("file://")
            if "://" in path:
                places.append(place)
            elif os.path.exists(path):
                places.append(place if place.startswith("file://") else os.path.abspath(path))
        return separator.join(places)

    return convert


def _words(value: str) -> str:
    return " ".join(value.split())


_VARIABLES: dict[str, tuple[str, Callable[[str], str]]] = {
    "index-url": ("UV_DEFAULT_INDEX", _words),
    "extra-index-url": ("UV_INDEX", _places(" ")),
    "find-links": ("UV_FIND_LINKS", _places(",")),
    "no-index": ("UV_NO_INDEX", _words),
    "trusted-host": ("UV_INSECURE_HOST", _words),
    "cert": ("SSL_CERT_FILE", _words),
    "client-cert": ("SSL_CLIENT_CERT", _words),
    "timeout": ("UV_HTTP_TIMEOUT", _words),
    "retries": ("UV_HTTP_RETRIES", _words),
    "keyring-provider": ("UV_KEYRING_PROVIDER", _words),
}
