"""One run of Locust with a profile: the command, its progress, and the record of its figures."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from mnist_torchserve.ports import free_ports
from mnist_torchserve.project import ROOT
from .footprint import Footprint
from .objectives import Profile

SAMPLED_EVERY = 1.0  # s
GRACE = 120.0  # s that Locust gets in addition to the run's time, to start, to spawn users and to write its report


class LoadRunError(Exception):
    """Locust measured nothing; the message says why."""


@dataclass(frozen=True)
class LoadTarget:
    """The service that gets the load."""

    host: str
    management_url: str | None = None
    routes: str = "auto"
    jvm: psutil.Process | None = None  # if the service runs on this machine


def execute(name: str, profile: Profile, target: LoadTarget, objectives: Path, results: Path) -> dict[str, Any]:
    """Run Locust to its end; it writes its own reports into `results`.

    Returns:
        The record, with the footprint of the service and the load generator, sampled every second.

    Raises:
        LoadRunError: Locust ended without a record, or sent nothing.
    """
    record, log = results / "run.json", results / "locust.log"
    command = [sys.executable, "-m", "locust", *_options(name, profile, target, objectives, results)]
    # The profile is complete. Locust would also read the environment, the current folder and the home folder.
    variables = {key: value for key, value in os.environ.items() if not key.startswith("LOCUST_")}
    variables["HOME"] = str(results)
    print(f"locust {shlex.join(command[3:])}\n", flush=True)
    # Its standard output shows the progress, and its standard error what a user would see who runs Locust by hand.
    with (
        log.open("w") as told,
        subprocess.Popen(
            [*command, "--record", str(record)], cwd=results, env=variables, stdin=subprocess.DEVNULL, stderr=told
        ) as locust,
    ):
        footprint = Footprint(target.jvm, psutil.Process(locust.pid))
        bound = profile.run_time + profile.users / profile.spawn_rate + GRACE
        try:
            while locust.poll() is None and len(footprint.samples) * SAMPLED_EVERY < bound:
                try:
                    locust.wait(SAMPLED_EVERY)
                except subprocess.TimeoutExpired:
                    footprint.sample()
        finally:
            locust.terminate()
            locust.wait()  # also where somebody interrupts us, when leaving the block would wait for an instant only
    if not record.is_file():
        said = log.read_text().strip().splitlines() if log.is_file() else []
        reason = said[-1] if said else f"it printed nothing to {log}"
        raise LoadRunError(f"Locust ended with exit code {locust.returncode} and without figures: {reason}")
    run: dict[str, Any] = json.loads(record.read_text())
    if not run["endpoints"]["total"]["requests"]:
        raise LoadRunError(f"Locust sent no request; see {log}.")
    return {**run, "footprint": footprint.samples}


def _options(name: str, profile: Profile, target: LoadTarget, objectives: Path, results: Path) -> list[str]:
    given: dict[str, object] = {
        "-f": ROOT / profile.locustfile,
        "--host": target.host,
        "--routes": target.routes,
        "--users": profile.users,
        "--spawn-rate": f"{profile.spawn_rate:g}",
        "--run-time": f"{profile.run_time:g}s",
        "--objectives": objectives,
        "--verdict": name,
        "--csv": results / "locust",
        "--html": results / "report.html",
    }
    if target.management_url:
        given["--management-url"] = target.management_url
    if profile.processes > 1:
        [port] = free_ports(1)
        given |= {"--processes": profile.processes, "--master-bind-host": "127.0.0.1"}
        given |= {"--master-bind-port": port, "--master-port": port}
    flags = ["--headless", "--only-summary", *(["--reset-stats"] if profile.reset_stats else [])]
    return [*(str(word) for pair in given.items() for word in pair), *flags, *profile.options]
