"""This machine: a description to report with figures, its processors and its addresses."""

import os
import platform
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

_CFS = ("quota", "period")  # of version 1's scheduler


def description() -> str:
    """Processor, cores and memory."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # not on Linux, or a processor without a name
        processor = platform.processor() or platform.machine()
    memory = round(psutil.virtual_memory().total / 2**30)
    return f"{processor}, {psutil.cpu_count()} cores, {memory} GiB"


def processors(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """How many processors this process may keep busy: those of its affinity, or fewer if a control group limits it.

    The limit of a container or a systemd unit is set in the process's own group or in one above it.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [usable, *_quotas(proc, cgroups)]
    return max(1, int(min(quotas)))


def _quotas(proc: Path, cgroups: Path) -> Iterator[float]:
    """The processor limits of all control groups above this process, of version 1 and 2."""
    groups = proc / "self" / "cgroup"
    for line in groups.read_text().splitlines() if groups.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # In a container, the path is that of the host, but the mounted tree may begin at the container's own group.
        own = Path(path.lstrip("/"))
        for group in (own, *own.parents):
            with suppress(OSError, ValueError):  # no such group here, or no limit: `max`
                if controllers:
                    quota, period = ((cgroups / "cpu" / group / f"cpu.cfs_{of}_us").read_text() for of in _CFS)
                else:
                    quota, period = (cgroups / group / "cpu.max").read_text().split()
                if int(quota) > 0:
                    yield int(quota) / int(period)


def reach_without_proxy() -> None:
    """Make this process and its children reach this machine directly, even if the environment sets a proxy."""
    addresses = [address for each in psutil.net_if_addrs().values() for address in each]
    internet = (socket.AF_INET, socket.AF_INET6)
    own = {address.address.partition("%")[0] for address in addresses if address.family in internet}
    told = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    spared = ",".join([*filter(None, [told]), "localhost", *sorted(own)])
    os.environ |= {"no_proxy": spared, "NO_PROXY": spared}  # some programs read one, some the other
