"""A network of a test's own, with addresses that this machine does not have, where only the test starts anything."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.support import programs


class Namespace:
    """Network and mounts that the processes of one test share.

    Args:
        holder: the process that keeps them.
    """

    def __init__(self, holder: int) -> None:
        self.enter = ["nsenter", f"--target={holder}", "--net", "--mount"]

    def run(self, command: str) -> str:
        """Run a shell's command there: what it prints."""
        done = subprocess.run([*self.enter, "sh", "-ec", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def namespace(setup: str) -> Iterator[Namespace]:
    """A new network in which loopback is up and the shell's commands `setup` were run; without it the test skips."""
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
            pytest.skip(f"only root may make a network of its own: {holder.stderr.read().strip()}")
        yield Namespace(holder.pid)
        holder.stdin.close()
