"""A client for the tests of the gateway: requests as HTTP and as raw bytes, and checks of its errors."""

import contextlib
import http.client
import json
import re
import socket
from typing import Any

import requests
from mnist_torchserve.contract import TIMEOUT, blank
from mnist_torchserve.gateway import Gateway

PAYLOAD = json.dumps(blank())


def predict(
    gateway: Gateway,
    body: str | bytes = PAYLOAD,
    key: str | None = None,
    session: requests.Session | None = None,
    headers: dict[str, str] | None = None,
) -> requests.Response:
    """Send a prediction, with a key and on the connection of a session if they are given."""
    sent = {"Content-Type": "application/json", **(headers or {})}
    if key is not None:
        sent["x-api-key"] = key
    post = requests.post if session is None else session.post
    return post(gateway.predict_url, data=body, headers=sent, timeout=TIMEOUT)


def get_from(address: str, gateway: Gateway) -> tuple[int, http.client.HTTPMessage, bytes]:
    """GET / from this address, one of many on loopback."""
    return ask(gateway, "GET", "/", source_address=(address, 0))


def ask(gateway: Gateway, method: str, path: str, **options: Any) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Request a path exactly as it is written."""
    listen = gateway.settings.listen
    connection = http.client.HTTPConnection(listen.host, listen.port, timeout=TIMEOUT, **options)
    with contextlib.closing(connection):
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def talk(gateway: Gateway, *said: bytes) -> bytes:
    """Send bytes on a connection of their own, and read until the gateway closes it."""
    with socket.create_connection(gateway.settings.listen, TIMEOUT) as connection:
        for piece in said:
            connection.sendall(piece)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def assert_error(status: int, headers: Any, body: bytes | str, expected: int, kserve: bool = False) -> None:
    """An error; on the routes of KServe's protocols with the member in which their clients look for the reason."""
    assert status == expected
    assert headers["Content-Type"] == "application/json"
    error = json.loads(body)
    assert set(error) == {"code", "type", "message"} | ({"error"} if kserve else set())
    assert error.get("error", error["message"]) == error["message"]
    assert error["code"] == expected
    assert error["type"].endswith("Exception")
    assert re.fullmatch(r"\S.*\. \S.*\.", error["message"]), "what is wrong, and how to fix it"


def assert_refused(response: requests.Response, expected: int, kserve: bool = False) -> None:
    assert_error(response.status_code, response.headers, response.content, expected, kserve)


def parse(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Parse an HTTP/1 response: status, headers with names like Content-Type, and body."""
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), {k.title(): v for k, v in (line.split(": ", 1) for line in lines)}, body
