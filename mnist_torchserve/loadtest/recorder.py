"""Records the figures of a run for every second, and judges it: Locust's options --record and --verdict."""

import json
import sys
import time
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import gevent
import locust.runners
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import Runner, WorkerRunner
from locust.stats import console_logger
from . import objectives, tally, verdict
from .figures import TOTAL, Window, since_reset
from .objectives import Objectives, ObjectivesError

SAMPLED_EVERY = 1.0  # s
TOLD_EVERY = 5  # samples

NOTES: dict[str, Any] = {}  # what a scenario adds to the record

# Locust checks its CPU every 10 s, the first time without a result. That is too rare for a run of half a minute.
locust.runners.CPU_MONITOR_INTERVAL = 3.0
# Locust's workers report every 3 s, which would turn the curves into steps.
locust.runners.WORKER_REPORT_INTERVAL = SAMPLED_EVERY / 4


class Recorder:
    """The samples of one run, and at the end its record and its verdict."""

    def __init__(self, runner: Runner, file: Path | None) -> None:
        self._runner = runner
        self._file = file
        self._samples: list[dict[str, Any]] = []

    def sample(self) -> None:
        """Take samples until the greenlet is killed, and print some of them."""
        began = time.monotonic()
        while True:
            window = Window(self._runner.stats)
            gevent.sleep(SAMPLED_EVERY)
            figures = window.figures()
            seconds = time.monotonic() - began
            self._samples.append(
                {
                    "t": round(seconds, 1),
                    "users": self._runner.user_count,
                    "endpoints": {name: asdict(each) for name, each in figures.items()},
                }
            )
            if len(self._samples) % TOLD_EVERY == 0:
                total = figures[TOTAL]
                print(
                    f"{seconds:5.0f} s  {self._runner.user_count:5} users  {total.rps:7.1f}/s  "
                    f"p50 {total.p50:6.1f} ms  p99 {total.p99:6.1f} ms  {self._runner.stats.num_failures} failed",
                    flush=True,
                )

    def finish(self, environment: Environment) -> None:
        """Write the record, and make the verdict Locust's exit code."""
        runner = self._runner
        run = {
            "endpoints": {name: asdict(figures) for name, figures in since_reset(runner.stats).items()},
            "errors": {error.to_name()[:300]: error.occurrences for error in runner.errors.values()},
            "tally": tally.counts(),
            "saturated": runner.cpu_warning_emitted or runner.worker_cpu_warning_emitted,
            "samples": self._samples,
            **NOTES,
        }
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(run))
        name = options(environment).verdict
        if name is not None:
            findings = verdict.judge(wanted(environment), name, run)
            conclusion = verdict.conclude(findings, run)
            for line in (*findings, conclusion):
                console_logger.info(str(line))
            environment.process_exit_code = conclusion


def options(environment: Environment) -> Namespace:
    """The parsed command line of Locust."""
    return cast(Namespace, environment.parsed_options)


def wanted(environment: Environment) -> Objectives:
    """The objectives of the file that the command line names."""
    return objectives.load(Path(options(environment).objectives))


@events.init_command_line_parser.add_listener
def _add_options(parser: LocustArgumentParser) -> None:
    ours = parser.add_argument_group("The verdict")
    ours.add_argument("--record", metavar="FILE", help="write the figures of every second to this JSON file")
    ours.add_argument(
        "--verdict",
        metavar="PROFILE",
        help="judge the run by the objectives of this profile; exit code 0: all are met, 1: one is not met, "
        "2: the profile does not exist, 3: no verdict, since Locust itself lacked CPU",
    )
    ours.add_argument("--objectives", metavar="FILE", default=str(objectives.FILE), help="default: %(default)s")


@events.init.add_listener
def _record(environment: Environment, runner: Runner, **_: Any) -> None:
    if isinstance(runner, WorkerRunner):
        return
    record, name = options(environment).record, options(environment).verdict
    try:
        if name is not None:
            wanted(environment)[name]
    except ObjectivesError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    # gevent's clock stood still during the imports. Without an update, the run would be shorter by that time.
    gevent.get_hub().loop.update_now()
    recorder = Recorder(runner, Path(record) if record else None)
    environment.events.test_start.add_listener(lambda **_: runner.greenlet.spawn(recorder.sample))
    environment.events.quitting.add_listener(lambda **_: recorder.finish(environment))
