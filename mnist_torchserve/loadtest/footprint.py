"""What a run costs the machine: CPU of service and load generator, the service's memory and open files."""

import time

import psutil


class Footprint:
    """Samples of the service's processes, if they are on this machine, and of the load generator's.

    Args:
        jvm: TorchServe's JVM, whose children are the workers; None if the service is elsewhere.
        generator: Locust.
    """

    def __init__(self, jvm: psutil.Process | None, generator: psutil.Process) -> None:
        self._jvm = jvm
        self._generator = generator
        self._known: dict[int, psutil.Process] = {}
        self._began = time.time()
        self.samples: list[dict[str, float]] = []
        psutil.cpu_percent()

    def sample(self) -> None:
        """Take one sample: CPU in % of a core since the last one, memory in MiB.

        A sample in whose middle a process ends is left out.
        """
        now = time.time()
        try:
            sample = {
                "time": now,
                "t": round(now - self._began, 1),
                "machine_cpu": psutil.cpu_percent() * (psutil.cpu_count() or 1),
                "generator_cpu": sum(process.cpu_percent() for process in self._family(self._generator)),
            }
            if self._jvm is not None:
                jvm, *workers = self._family(self._jvm)
                sample |= {
                    "server_cpu": sum(process.cpu_percent() for process in (jvm, *workers)),
                    "jvm_memory": _memory(jvm),
                    "worker_memory": sum(_memory(worker) for worker in workers),
                    "open_files": sum(process.num_fds() for process in (jvm, *workers)),
                }
        except psutil.NoSuchProcess:
            return
        self.samples.append(sample)

    def _family(self, parent: psutil.Process) -> list[psutil.Process]:
        """A process and all below it, as the same objects each time: CPU is counted between two looks."""
        found = [parent, *parent.children(recursive=True)]
        return [self._known.setdefault(process.pid, process) for process in found]


def _memory(process: psutil.Process) -> float:
    return process.memory_info().rss / 2**20
