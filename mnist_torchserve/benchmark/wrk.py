"""wrk, the load generator: a fixed number of connections, each of which waits for an answer before its next request."""

import json
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = Path(__file__).with_suffix(".lua")


class WrkError(Exception):
    """wrk is not installed or failed; the message says what to do."""


@dataclass(frozen=True)
class Result:
    """What wrk measured; latencies in ms."""

    requests: int
    seconds: float
    p50: float
    p99: float
    refused: int  # answers with a status of 400 or above
    failed: int  # no answer

    @property
    def throughput(self) -> float:
        """Good answers per second."""
        return (self.requests - self.refused) / self.seconds


def write_payloads(path: Path, bodies: Sequence[bytes]) -> None:
    """Write request bodies as wrk.lua reads them."""
    path.write_bytes(b"".join(struct.pack("!I", len(body)) + body for body in bodies))


def run(
    url: str, payloads: Path, media_type: str, connections: int, seconds: float, pause: float = 0, addresses: int = 0
) -> Result:
    """Load a URL with one thread of wrk.

    Each connection pauses before a request, for `pause` s on average. X-Forwarded-For names this number of different
    `addresses`; 0 sends no such header.

    Raises:
        WrkError: wrk is missing or failed.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise WrkError("wrk is not installed. Install it with `apt-get install wrk` or `brew install wrk`.")
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s", "-s", str(_SCRIPT), url]
    command += ["--", str(payloads), media_type, f"{pause * 1000:.0f}", str(addresses)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if done.returncode:
        raise WrkError(f"wrk failed with exit code {done.returncode}: {done.stderr.strip()}")
    return Result(**json.loads(done.stdout.strip().splitlines()[-1]))
