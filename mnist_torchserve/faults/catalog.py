"""The faults that are inflicted on a service while clients ask it for predictions."""

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
_LASTS = 5.0  # s that a lasting fault is kept up
_POISONED = 10.0  # s
_POISONERS = 4  # at each face
_IDLE = 5000  # connections; the gateway takes 4,096
_FILES_LEFT = 20
_HOUR = 3600  # s


class NotPossibleError(Exception):
    """A fault cannot be inflicted on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Fault:
    """A fault, and how the service must take it."""

    name: str  # as --only takes it
    summary: str  # what is done
    inflict: Callable[[Testbed], None]  # returns once the fault is over
    within: float  # s after the fault until the service must be as before
    faces: tuple[str, ...] = (GATEWAY,)  # where the clients send their requests; the fault is repeated for each
    serves_on: bool = False  # other requests must be answered all the time
    harmless: bool = False  # other clients must not notice it
    drains: bool = False  # the gateway must answer every request that it has accepted
    quick: bool = False  # it is part of --quick
    is_instant: bool = False  # it is over at once, and the service then recovers on its own
    prepared: Callable[[Testbed], AbstractContextManager[object]] = nullcontext  # entered before the fault, left after


def kill_worker(testbed: Testbed) -> None:
    """End one worker the way the kernel does when memory runs out."""
    testbed.server.workers()[0].kill()


def kill_workers(testbed: Testbed) -> None:
    """End all workers in this way."""
    for worker in testbed.server.workers():
        worker.kill()


def crash_loop(testbed: Testbed) -> None:
    """End every worker, and each new one before it has loaded the model."""
    end = time.monotonic() + _CRASHES
    while time.monotonic() < end:
        kill_workers(testbed)
        time.sleep(0.5)


def freeze_worker(testbed: Testbed) -> None:
    """Suspend a worker for a while, then resume it."""
    [worker, *_] = testbed.server.workers()
    worker.suspend()
    time.sleep(_FREEZE)
    worker.resume()


def hang_worker(testbed: Testbed) -> None:
    """Suspend a worker until TorchServe gives up on it and kills it."""
    [worker, *_] = testbed.server.workers()
    worker.suspend()
    psutil.wait_procs([worker], timeout=60)


def kill_jvm(testbed: Testbed) -> None:
    """End the JVM, and start it again as a user would."""
    testbed.jvm().kill()
    testbed.server.restart()


def stop(testbed: Testbed) -> None:
    """Do what scripts/stop does, and then what scripts/serve --gateway does."""
    testbed.gateway.stop()
    testbed.server.stop()
    for service in (testbed.server, testbed.gateway):
        service.start()
        service.wait_ready()


def fill_disk(testbed: Testbed) -> None:
    """Leave no space for logs, and end a worker, which TorchServe would log."""
    if not os.path.ismount(testbed.folder):
        raise NotPossibleError("only root can mount the small file system that this fault fills")
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
    """Open as many connections as possible, and send nothing on them."""
    listen = testbed.gateway.settings.listen
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * _IDLE:
        raise NotPossibleError(f"{_IDLE} connections need more open files than the limit of this shell, {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * _IDLE), hard))
    with ExitStack() as stack:
        for _ in range(_IDLE):
            stack.enter_context(socket.create_connection(listen, 5))
        time.sleep(_LASTS)


def exhaust_files(testbed: Testbed) -> None:
    """Leave the JVM only a few file descriptors, and use them up with connections."""
    jvm = testbed.jvm()
    usual = jvm.rlimit(psutil.RLIMIT_NOFILE)
    jvm.rlimit(psutil.RLIMIT_NOFILE, (jvm.num_fds() + _FILES_LEFT, usual[1]))
    with ExitStack() as stack:
        for _ in range(10 * _FILES_LEFT):
            stack.enter_context(socket.create_connection(testbed.server.addresses[0], 5))
        time.sleep(_LASTS)
    jvm.rlimit(psutil.RLIMIT_NOFILE, usual)


def step_clock(testbed: Testbed) -> None:
    """Set the clock of TorchServe and its workers one hour forward, then two back."""
    for offset in (_HOUR, -_HOUR):
        with open(testbed.folder / "clock", "r+b") as clock:
            clock.write(offset.to_bytes(8, sys.byteorder, signed=True))
        time.sleep(_LASTS)


def poison(testbed: Testbed) -> None:
    """Send only requests that once made other requests fail, or ended the worker."""
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
    """Give TorchServe and its workers a clock of their own, so that the machine's clock is not changed."""
    library = testbed.folder / "clock.so"
    compiler = shutil.which("cc")
    if compiler is None:
        raise NotPossibleError("it needs a C compiler (cc), to give TorchServe a clock of its own")
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
    """Put a second TorchServe behind the same gateway."""
    with TorchServe.on_free_ports(testbed.folder / "second").running() as second:
        testbed.gateway.route(Node.of(testbed.server), Node.of(second))
        yield
        testbed.gateway.route(Node.of(testbed.server))


FAULTS = [
    Fault("kill-worker", "`kill -9` of one worker", kill_worker, 5, BOTH, serves_on=True, quick=True, is_instant=True),
    Fault("kill-workers", "`kill -9` of all workers", kill_workers, 15, BOTH, quick=True, is_instant=True),
    Fault("crash-loop", f"`kill -9` of every worker, for {_CRASHES} s", crash_loop, 30, BOTH),
    Fault("freeze-worker", f"SIGSTOP of one worker, SIGCONT after {_FREEZE:g} s", freeze_worker, 5, serves_on=True),
    Fault("hang-worker", "SIGSTOP of one worker, no SIGCONT", hang_worker, 15, BOTH, serves_on=True),
    Fault("kill-jvm", "`kill -9` of the JVM, then a restart", kill_jvm, 15, BOTH, quick=True, is_instant=True),
    Fault(
        "kill-node",
        "`kill -9` of the JVM of one of two nodes",
        kill_jvm,
        15,
        serves_on=True,
        is_instant=True,
        prepared=second_node,
    ),
    Fault("stop", "`scripts/stop`, then `scripts/serve`", stop, 15, BOTH, drains=True, quick=True),
    Fault(
        "poison",
        f"poison requests from {2 * _POISONERS} clients for {_POISONED:g} s",
        poison,
        5,
        BOTH,
        serves_on=True,
        harmless=True,
        quick=True,
    ),
    Fault("full-disk", f"no space for logs for {_LASTS:g} s, and one worker killed", fill_disk, 5, serves_on=True),
    Fault("clock", "the clock set one hour forward, then two back", step_clock, 5, prepared=own_clock),
    Fault("idle", f"{_IDLE:,} idle connections for {_LASTS:g} s", idle_connections, 5, serves_on=True),
    Fault("files", f"no file descriptors for the JVM for {_LASTS:g} s", exhaust_files, 5, BOTH, serves_on=True),
]


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a file system in memory on `folder`, with room for the logs of a run; without root, do nothing."""
    command = ["mount", "-t", "tmpfs", "-o", "size=400m,mode=0700", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
