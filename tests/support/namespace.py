"""A private network for a test, with addresses that this machine does not have and only the test's processes."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.support import programs


class Namespace:
    """A network and mounts that the processes of one test share.

    Args:
        holder: the process that keeps them.
    """

    def __init__(self, holder: int) -> None:
        self.enter = ["nsenter", f"--target={holder}", "--net", "--mount"]

    def run(self, command: str) -> str:
        """Run a shell command in it and return its output."""
        done = subprocess.run([*self.enter, "sh", "-ec", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def namespace(setup: str) -> Iterator[Namespace]:
    """A new network with loopback up, in which the shell commands `setup` were run; skip the test if not possible."""
    programs.installed("ip")
    command = ["unshare", "--net", "--mount", "sh", "-ec", f"ip link set lo up; {setup.strip()}\necho up; exec cat"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stderr
        if holder.stdout.readline() != "up\n":
            holder.stdin.close()
            reason = f"only root can create a network namespace: {holder.stderr.read().strip()}"
            assert "CI" not in os.environ, reason
            pytest.skip(reason)
        yield Namespace(holder.pid)
        holder.stdin.close()
