"""This machine in words, so that figures can be compared with those of an equal one."""

import platform
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
