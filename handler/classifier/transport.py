"""Reads TorchServe's messages to a worker in a few large pieces.

TorchServe 0.12.0 reads every length and every field of a message with a `recv` of its own: some fifty system calls for
one HTTP request. This reader receives all that is there and takes the fields from memory. The message format is that of
`ts/protocol/otf_message_handler.py`. No later TorchServe will change it.
"""

import logging
import os
import socket
import struct
import sys
from typing import Any

import ts

TORCHSERVE = "0.12.0"

_CHUNK = 1 << 18  # bytes: a batch of 16 JSON payloads, and about what a Unix socket holds
_PREDICT = b"I"
_END = -1  # instead of a length: no further item
_integer = struct.Struct("!i").unpack_from


def install() -> None:
    """Replace TorchServe's reader with this one, in the calling worker process.

    Other versions than 0.12.0, and workers that decode JSON themselves, keep their own reader.
    """
    worker = sys.modules["__main__"]
    if ts.__version__ != TORCHSERVE or os.environ.get("TS_DECODE_INPUT_REQUEST") != "false":
        logging.warning("Messages are read by TorchServe %s itself: only %s is known here", ts.__version__, TORCHSERVE)
    elif hasattr(worker, "retrieve_msg"):
        worker.retrieve_msg = MessageReader().retrieve  # type: ignore[attr-defined]  # of the worker's script


class MessageReader:
    """Reads the messages of one connection."""

    def __init__(self) -> None:
        self._received = b""
        self._position = 0

    def retrieve(self, connection: socket.socket) -> tuple[bytes, list[dict[str, Any]]]:
        """Return the next message: its command, and a batch of requests in the format of TorchServe's `retrieve_msg`.

        Raises:
            SystemExit: the frontend has closed the connection.
            ValueError: the command is not a prediction. The model is loaded before this reader is installed.
        """
        self._connection = connection
        command = self._take(1)
        if command != _PREDICT:
            raise ValueError(f"Invalid command: {command!r}")
        requests = []
        while (length := self._length()) != _END:
            request: dict[str, Any] = {"requestId": self._take(length), "headers": [], "parameters": []}
            while (length := self._length()) != _END:
                request["headers"].append({"name": self._take(length), "value": self._take(self._length())})
            while (length := self._length()) != _END:
                name = self._take(length).decode()
                media_type = self._take(self._length()).decode()
                value = self._take(self._length())
                request["parameters"].append({"name": name, "contentType": media_type, "value": value})
            requests.append(request)
        return command, requests

    def _length(self) -> int:
        end = self._position + 4
        if end > len(self._received):
            end = self._receive(4)
        self._position = end
        return int(_integer(self._received, end - 4)[0])

    def _take(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._received):
            end = self._receive(length)
        taken = self._received[self._position : end]
        self._position = end
        return taken

    def _receive(self, length: int) -> int:
        """Receive until `length` more bytes are there, and return the position of their end."""
        pieces = [self._received[self._position :]]
        missing = length - len(pieces[0])
        while missing > 0:
            piece = self._connection.recv(max(_CHUNK, missing))
            if not piece:
                logging.info("Frontend disconnected.")
                sys.exit(0)
            pieces.append(piece)
            missing -= len(piece)
        self._received = b"".join(pieces)
        self._position = 0
        return length
