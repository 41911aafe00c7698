"""The faults: what is done to a service while a crowd asks it for predictions."""

import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil
from mnist_torchserve.gateway import Node
from mnist_torchserve.service import TorchServe
from .bad_requests import bad_bodies, campaign
from .bad_requests.exchanges import Face
from .crowd import PACE
from .testbed import GATEWAY, TORCHSERVE, Testbed

BOTH = (GATEWAY, TORCHSERVE)
_CRASHES = 12  # s
_FREEZE = 4.0  # s; less than responseTimeout, after which TorchServe replaces a worker
_LASTS = 5.0  # s of a fault that only lasts
_POISONED = 10.0  # s
_POISONERS = 4  # at each face
_IDLE = 5000  # connections; the gateway takes 4,096
_FILES_LEFT = 20
_HOUR = 3600  # s


class NotPossibleError(Exception):
    """This machine does not allow a fault; the message says what is missing."""


@dataclass(frozen=True)
class Fault:
    """What can be done to a service, and what is asked of it then."""

    name: str  # as it is asked for
    summary: str  # what is done
    inflict: Callable[[Testbed], None]  # returns once it is over
    within: float  # s after that in which the service must be as before
    faces: tuple[str, ...] = (GATEWAY,)  # where the crowd asks while it happens, each time again
    serves_on: bool = False  # others must be answered all the time
    harmless: bool = False  # others must not notice it
    drains: bool = False  # the gateway must answer every request that it has taken
    quick: bool = False  # it is in the quick form
    is_instant: bool = False  # it is over with its first moment, and the service then recovers by itself
    prepared: Callable[[Testbed], AbstractContextManager[object]] = nullcontext  # about the service before, not after


def kill_worker(testbed: Testbed) -> None:
    """End a worker as the kernel does when memory runs out."""
    testbed.server.workers()[0].kill()


def kill_workers(testbed: Testbed) -> None:
    """End all workers so."""
    for worker in testbed.server.workers():
        worker.kill()


def crash_loop(testbed: Testbed) -> None:
    """End every worker, and each that comes after it, before it has loaded the model."""
    end = time.monotonic() + _CRASHES
    while time.monotonic() < end:
        kill_workers(testbed)
        time.sleep(0.5)


def freeze_worker(testbed: Testbed) -> None:
    """A worker does nothing for a while, and then goes on."""
    [worker, *_] = testbed.server.workers()
    worker.suspend()
    time.sleep(_FREEZE)
    worker.resume()


def hang_worker(testbed: Testbed) -> None:
    """A worker does nothing any more, until TorchServe loses its patience."""
    [worker, *_] = testbed.server.workers()
    worker.suspend()
    psutil.wait_procs([worker], timeout=60)


def kill_jvm(testbed: Testbed) -> None:
    """End the JVM, and start it as a user would."""
    testbed.jvm().kill()
    testbed.server.restart()


def stop(testbed: Testbed) -> None:
    """What scripts/stop does, and scripts/serve --gateway afterwards."""
    testbed.gateway.stop()
    testbed.server.stop()
    for service in (testbed.server, testbed.gateway):
        service.start()
        service.wait_ready()


def fill_disk(testbed: Testbed) -> None:
    """There is no byte left for logs, and a worker's end would be worth a few."""
    if not os.path.ismount(testbed.folder):
        raise NotPossibleError("only root may mount the small file system that is to be filled")
    filler = testbed.folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        for size in (2**20, 2**10, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    kill_worker(testbed)
    time.sleep(_LASTS)
    filler.unlink()


def idle_connections(testbed: Testbed) -> None:
    """Strangers connect, as many as they can, and say nothing."""
    listen = testbed.gateway.settings.listen
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * _IDLE:
        raise NotPossibleError(f"{_IDLE} connections need more open files than the {hard} that this shell allows")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * _IDLE), hard))
    with ExitStack() as stack:
        for _ in range(_IDLE):
            stack.enter_context(socket.create_connection(listen, 5))
        time.sleep(_LASTS)


def exhaust_files(testbed: Testbed) -> None:
    """The JVM may open only a few more files, and strangers take them."""
    jvm = testbed.jvm()
    usual = jvm.rlimit(psutil.RLIMIT_NOFILE)
    jvm.rlimit(psutil.RLIMIT_NOFILE, (jvm.num_fds() + _FILES_LEFT, usual[1]))
    with ExitStack() as stack:
        for _ in range(10 * _FILES_LEFT):
            stack.enter_context(socket.create_connection(testbed.server.addresses[0], 5))
        time.sleep(_LASTS)
    jvm.rlimit(psutil.RLIMIT_NOFILE, usual)


def step_clock(testbed: Testbed) -> None:
    """The clock of TorchServe and its workers goes an hour forward, and two back."""
    for offset in (_HOUR, -_HOUR):
        with open(testbed.folder / "clock", "r+b") as clock:
            clock.write(offset.to_bytes(8, sys.byteorder, signed=True))
        time.sleep(_LASTS)


def poison(testbed: Testbed) -> None:
    """Clients send nothing but what once failed other requests, or ended the worker."""
    end = time.monotonic() + _POISONED

    def client(face: str, number: int) -> None:
        deployment, dice = testbed.deployment(face), Random(number)
        while time.monotonic() < end:
            campaign.carry_out(deployment, bad_bodies.poison(dice).exchange(Face.of(deployment), "poison", frozenset()))
            time.sleep(PACE)

    with ThreadPoolExecutor(len(BOTH) * _POISONERS) as pool:
        for future in [pool.submit(client, face, number) for face in BOTH for number in range(_POISONERS)]:
            future.result()


@contextmanager
def own_clock(testbed: Testbed) -> Iterator[None]:
    """TorchServe and its workers have a clock of their own, lest the machine's is touched."""
    library = testbed.folder / "clock.so"
    compiler = shutil.which("cc")
    if compiler is None:
        raise NotPossibleError("there is no C compiler to build a clock of its own")
    source = Path(__file__).with_name("clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
    (testbed.folder / "clock").write_bytes(bytes(8))
    os.environ |= {"LD_PRELOAD": str(library), "LD_CLOCK_OFFSET": str(testbed.folder / "clock")}
    try:
        _restart(testbed)
    finally:
        del os.environ["LD_PRELOAD"], os.environ["LD_CLOCK_OFFSET"]
    yield
    _restart(testbed)


def _restart(testbed: Testbed) -> None:
    testbed.server.restart()
    testbed.wait_whole()


@contextmanager
def second_node(testbed: Testbed) -> Iterator[None]:
    """Another TorchServe stands behind the same gateway."""
    with TorchServe.on_free_ports(testbed.folder / "second").running() as second:
        testbed.gateway.route(Node.of(testbed.server), Node.of(second))
        yield
        testbed.gateway.route(Node.of(testbed.server))


FAULTS = [
    Fault("kill-worker", "`kill -9` of one worker", kill_worker, 5, BOTH, serves_on=True, quick=True, is_instant=True),
    Fault("kill-workers", "`kill -9` of all workers", kill_workers, 15, BOTH, quick=True, is_instant=True),
    Fault("crash-loop", f"`kill -9` of every worker, for {_CRASHES} s", crash_loop, 30, BOTH),
    Fault("freeze-worker", f"SIGSTOP of one worker, SIGCONT after {_FREEZE:g} s", freeze_worker, 5, serves_on=True),
    Fault("hang-worker", "SIGSTOP of one worker for good", hang_worker, 15, BOTH, serves_on=True),
    Fault("kill-jvm", "`kill -9` of the JVM, and started again", kill_jvm, 15, BOTH, quick=True, is_instant=True),
    Fault(
        "kill-node", "the same with a second node", kill_jvm, 15, serves_on=True, is_instant=True, prepared=second_node
    ),
    Fault("stop", "`scripts/stop`, then `scripts/serve`", stop, 15, BOTH, drains=True, quick=True),
    Fault(
        "poison",
        f"{_POISONERS} clients who send poison at each face, {_POISONED:g} s",
        poison,
        5,
        BOTH,
        serves_on=True,
        harmless=True,
        quick=True,
    ),
    Fault("full-disk", f"no space for logs for {_LASTS:g} s, and one worker killed", fill_disk, 5, serves_on=True),
    Fault("clock", "the clock an hour forward, then two back", step_clock, 5, prepared=own_clock),
    Fault("idle", f"{_IDLE:,} idle connections for {_LASTS:g} s", idle_connections, 5, serves_on=True),
    Fault("files", f"the JVM's files exhausted for {_LASTS:g} s", exhaust_files, 5, BOTH, serves_on=True),
]


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own in `folder`, in memory, with room for a run's logs; only root gets one."""
    command = ["mount", "-t", "tmpfs", "-o", "size=400m,mode=0700", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
