"""Package indexes on this machine, with wheels that the tests make, and one index that never answers."""

import base64
import hashlib
import http.server
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def build_wheel(folder: Path, name: str = "digit", version: str = "1.0", code: str = "READ = 7") -> Path:
    """Make a wheel with one module of this name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{file},sha256={_record_digest(text)},{len(text)}" for file, text in files.items()]
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in {**files, f"{info}/RECORD": "\n".join([*record, f"{info}/RECORD,,\n"])}.items():
            wheel.writestr(file, text)
    return path


def lock(requirement: str, *files: Path) -> str:
    """The line of a lock that lists these files."""
    return " ".join([requirement, *(f"--hash=sha256:{digest(file)}" for file in files)]) + "\n"


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the wheels of a folder; yield the address of the index."""

    class SimpleIndex(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/").rpartition("/")[2]
            wheels = sorted(folder.glob(f"{name}-*.whl"))
            links = "".join(f'<a href="/{each.name}#sha256={digest(each)}">{each.name}</a>' for each in wheels)
            file = folder / name.replace("%2B", "+")
            body = file.read_bytes() if file.is_file() else f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
            self.send_response(200 if file.is_file() or wheels else 404)
            self.send_header("Content-Type", "application/octet-stream" if file.is_file() else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), SimpleIndex)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def silent() -> Iterator[str]:
    """The address of an index that accepts every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/simple"


def _record_digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
