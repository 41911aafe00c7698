"""The message reader, byte for byte against TorchServe's own."""

import logging
import os
import socket
import struct
import sys
import threading
import types
from typing import Any

import pytest
import ts
from hypothesis import given, settings
from hypothesis import strategies as st
from ts.protocol import otf_message_handler
from classifier import transport

names = st.text(max_size=12)
fields = st.binary(max_size=40)
request_batches = st.lists(
    st.tuples(
        fields,  # request id
        st.lists(st.tuples(fields, fields), max_size=4),  # headers
        st.lists(st.tuples(names, names, st.binary(max_size=3000)), max_size=3),  # parameters
    ),
    max_size=5,
)


def field(value: bytes | str) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("!i", len(value)) + value


def encode(batch: list[Any]) -> bytes:
    """A batch as the frontend's ModelRequestEncoder writes it."""
    end = struct.pack("!i", -1)
    message = b"I"
    for request_id, headers, parameters in batch:
        message += field(request_id)
        message += b"".join(field(name) + field(value) for name, value in headers) + end
        message += b"".join(field(name) + field(kind) + field(value) for name, kind, value in parameters) + end
    return message + end


def sent(message: bytes, piece: int) -> socket.socket:
    """A connection on which a message arrives in pieces."""
    theirs, ours = socket.socketpair()

    def send() -> None:
        with theirs:
            for start in range(0, len(message), piece):
                theirs.sendall(message[start : start + piece])

    threading.Thread(target=send).start()
    return ours


@given(st.lists(request_batches, min_size=1, max_size=3), st.sampled_from([1, 3, 7, 100, 10_000]))
@settings(max_examples=60, deadline=None)
def test_messages_are_those_that_torchserve_reads(batches: list[Any], piece: int) -> None:
    message = b"".join(map(encode, batches))
    os.environ["TS_DECODE_INPUT_REQUEST"] = "false"
    with sent(message, len(message)) as connection:
        expected = [otf_message_handler.retrieve_msg(connection) for _ in batches]
    reader = transport.MessageReader()
    with sent(message, piece) as connection:
        assert [reader.retrieve(connection) for _ in batches] == expected
        with pytest.raises(SystemExit):  # as TorchServe's: the frontend has gone
            reader.retrieve(connection)


def test_other_command_is_an_error() -> None:
    with sent(b"L", 1) as connection, pytest.raises(ValueError, match="Invalid command"):
        transport.MessageReader().retrieve(connection)


@pytest.mark.parametrize(
    ("version", "decode", "installed"),
    [("0.12.0", "false", True), ("0.13.0", "false", False), ("0.12.0", "true", False)],
)
def test_only_the_known_torchserve_is_changed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, version: str, decode: str, installed: bool
) -> None:
    worker = types.ModuleType("__main__")
    worker.retrieve_msg = otf_message_handler.retrieve_msg  # type: ignore[attr-defined]  # of the worker's script
    monkeypatch.setitem(sys.modules, "__main__", worker)
    monkeypatch.setattr(ts, "__version__", version)
    monkeypatch.setenv("TS_DECODE_INPUT_REQUEST", decode)
    with caplog.at_level(logging.WARNING):
        transport.install()
    assert (worker.retrieve_msg is not otf_message_handler.retrieve_msg) is installed
    assert ("read by TorchServe" in caplog.text) is not installed
