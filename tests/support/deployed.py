"""The deployed service that the environment names, for the tests that may be asked of any."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import requests
from mnist_torchserve.contract import TIMEOUT

FACES = ("torchserve", "gateway")


def complaint(environment: Mapping[str, str]) -> str | None:
    """What is wrong with API_BASE_URL and API_ROUTES, in a sentence; None if nothing is, or nothing answers there."""
    routes = environment.get("API_ROUTES", "torchserve")
    if routes not in FACES:
        return f"Expected `torchserve` or `gateway` in API_ROUTES, got `{routes}`."
    url = environment.get("API_BASE_URL")
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"Expected a URL like `http://127.0.0.1:8080` in API_BASE_URL, with its scheme, got `{url}`."
    found = _face(url.rstrip("/"))
    if found == routes or found is None:
        return None
    if found == "gateway":
        return f"A gateway answers at `{url}`, which API_BASE_URL names: set API_ROUTES=gateway as well."
    return f"TorchServe itself answers at `{url}`, which API_BASE_URL names: leave out API_ROUTES=gateway."


def _face(url: str) -> str | None:
    try:
        if requests.get(f"{url}/ping", timeout=TIMEOUT).status_code != 404:
            return "torchserve"
        return "gateway" if "message" in requests.get(f"{url}/", timeout=TIMEOUT).json() else None
    except (requests.RequestException, TypeError):  # the tests will tell
        return None
