"""The page to draw on, as routes of Envoy's: each file of deploy/gateway/demo, and what a browser may do with it."""

import base64
from pathlib import Path
from typing import Any

from mnist_torchserve.project import ROOT

FOLDER = ROOT / "deploy" / "gateway" / "demo"
PATH = "/demo"

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}

# Nothing but these files and the service itself: no other origin, no inline script or style, no frame around it.
_HEADERS = {
    "cache-control": "no-cache",  # or an update would meet files of the page before
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def routes() -> list[dict[str, Any]]:
    """A route for each path to GET, and one behind it for its other methods."""
    files = {f"{PATH}/{file.name}": file for file in sorted(FOLDER.iterdir())}
    page = files.pop(f"{PATH}/index.html")
    files |= {PATH: page, f"{PATH}/": page}
    return [route for path, file in files.items() for route in (_served(path, file), _method_not_allowed(path))]


def _served(path: str, file: Path) -> dict[str, Any]:
    headers = {"content-type": _MEDIA_TYPES[file.suffix]} | _HEADERS
    return {
        "name": "demo",
        "match": {"path": path, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
        # The content, not the file's name: `scripts/reload` then replaces the page as a whole.
        "direct_response": {"status": 200, "body": {"inline_bytes": base64.b64encode(file.read_bytes()).decode()}},
        "response_headers_to_add": [_header(name, value) for name, value in headers.items()],
    }


def _method_not_allowed(path: str) -> dict[str, Any]:
    return {
        "name": "method_not_allowed",
        "match": {"path": path},
        "direct_response": {"status": 405},
        "response_headers_to_add": [_header("allow", "GET")],
    }


def _header(name: str, value: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
