"""A stub of the service: it gives right or wrong answers, for a limited time or to a limited number of clients."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answering = Callable[[str, bytes], tuple[int, Any]]  # from a path and a body to a status and a document


class Stub(ThreadingHTTPServer):
    """A stub with the routes in `answers`, or with a function that gives the answers."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, answering: Answering | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answering = answering or self._by_route
        self.answers: dict[str, Any] = {
            "/": {"message": "Welcome"},
            "/health": {"status": "healthy", "model_loaded": True},
            "/predict": {"prediction": 7, "confidence": 0.9},
        }
        self.connections = 0
        self.most_connections = 1_000_000  # more clients than these get 503
        self.answers_left = 1_000_000  # then all connections are cut

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"

    def _by_route(self, path: str, _: bytes) -> tuple[int, Any]:
        crowded = self.connections > self.most_connections
        return 503 if crowded else 200 if path in self.answers else 404, self.answers.get(path)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that have gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Stub

    def handle(self) -> None:
        self.server.connections += 1
        try:
            super().handle()
        finally:
            self.server.connections -= 1

    def do_GET(self) -> None:
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.answers_left -= 1
        if self.server.answers_left < 0:
            self.close_connection = True
            return
        status, document = self.server.answering(self.path, asked)
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the standard library's name

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def running(answering: Answering | None = None) -> Iterator[Stub]:
    """A stub that serves until the end of the block."""
    stub = Stub(answering)
    with serving(stub):
        yield stub


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """Run a server until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
