"""This machine: in words, so that figures can be compared with those of an equal one; and its own addresses."""

import os
import platform
import socket
from pathlib import Path

import psutil


def description() -> str:
    """Processor, cores and memory."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # not on Linux, or a processor without a name
        processor = platform.processor() or platform.machine()
    memory = round(psutil.virtual_memory().total / 2**30)
    return f"{processor}, {psutil.cpu_count()} cores, {memory} GiB"


def reach_without_proxy() -> None:
    """Let this process and its children ask this machine itself, whatever proxy the environment names for others."""
    addresses = [address for each in psutil.net_if_addrs().values() for address in each]
    internet = (socket.AF_INET, socket.AF_INET6)
    own = {address.address.partition("%")[0] for address in addresses if address.family in internet}
    told = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    spared = ",".join([*filter(None, [told]), "localhost", *sorted(own)])
    os.environ |= {"no_proxy": spared, "NO_PROXY": spared}  # some read the one, some the other
