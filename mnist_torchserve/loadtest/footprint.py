"""What a run costs the machine: CPU of the service and the load generator, memory and open files of the service."""

import time

import psutil


class Footprint:
    """Samples of the load generator's processes, and of the service's if they are on this machine.

    Args:
        jvm: TorchServe's JVM, whose children are the workers; None if the service is on another machine.
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
        """Take one sample: CPU in % of a core since the last sample, memory in MiB.

        There is no sample if a process ends while it is taken.
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
        """A process and its descendants; always the same objects, since psutil measures CPU between two calls."""
        found = [parent, *parent.children(recursive=True)]
        return [self._known.setdefault(process.pid, process) for process in found]


def _memory(process: psutil.Process) -> float:
    return process.memory_info().rss / 2**20
