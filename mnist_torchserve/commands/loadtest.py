"""Put a load on the service and judge it: PASS or FAIL for each objective and for the whole run.

The loads and the objectives are in mnist_torchserve/loadtest/objectives.toml. Locust generates the load. Its reports,
all figures (result.json) and charts go to results/, and the history gets a line.

Exit code 0: all objectives are met; 1: an objective is not met, or the trend shows a regression; 2: the command cannot
run, and the message says why; 3: no verdict, since the load generator lacked CPU or ended without figures.
"""

import argparse
import dataclasses
import datetime
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from mnist_torchserve.client.inference import Client, no_answer
from mnist_torchserve.contract import MNIST
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.loadtest import charts, history, objectives, run, verdict
from mnist_torchserve.loadtest.objectives import Objectives, ObjectivesError, Profile
from mnist_torchserve.loadtest.run import LoadTarget
from mnist_torchserve.loadtest.verdict import PREDICT, Finding, Record, Verdict
from mnist_torchserve.ports import Address
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import TorchServe
from . import command_line

BAD_USE = 2
TREND = "trend.png"


class BadUseError(Exception):
    """The command cannot run with these arguments; the message says what to change."""


def main() -> None:
    arguments = parse()
    try:
        if importlib.util.find_spec("locust") is None:
            raise BadUseError(f"Locust is missing from {sys.prefix}. Delete that folder and run this command again.")
        wanted = objectives.load(arguments.objectives)
        sys.exit(show_trend(arguments, wanted) if arguments.trend else run_and_judge(arguments, wanted))
    except (BadUseError, ObjectivesError, history.HistoryError, ServiceError) as error:
        print(error, file=sys.stderr)
        sys.exit(BAD_USE)
    except run.LoadRunError as error:
        print(f"NO VERDICT: {error}", file=sys.stderr)
        sys.exit(Verdict.NO_VERDICT)
    except KeyboardInterrupt:
        print("\nNO VERDICT: interrupted.", file=sys.stderr)
        sys.exit(Verdict.NO_VERDICT)


def parse() -> argparse.Namespace:
    parser = command_line("loadtest", __doc__, profiles_in_words())
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--profile", help="the load (default: seed; with --trend: all profiles)")
    what.add_argument("--compare", nargs=2, metavar="VERSION", help="compare two loaded versions of the model")
    add = parser.add_argument
    add("--trend", action="store_true", help=f"judge the history, and draw it in {TREND} next to it")
    add("--host", help="the service (default: API_BASE_URL, or the one in config.properties)")
    add("--management-url", help="its management API (default: API_MANAGEMENT_URL, or the host's next port)")
    add("--routes", choices=("auto", "torchserve", "gateway"), default="auto", help="its routes (default: %(default)s)")
    add("--run-time", type=float, metavar="SECONDS", help="override the run time of the profile")
    add("--baseline", metavar="URL", help="put the same load on this service too, and report the ratio")
    add("--objectives", type=Path, default=objectives.FILE, metavar="FILE", help="use other objectives")
    add(
        "--results",
        type=Path,
        default=ROOT / "results",
        metavar="FOLDER",
        help="where each run creates a folder PROFILE-DATE (default: results)",
    )
    add(
        "--history",
        type=Path,
        default=history.FILE,
        metavar="FILE",
        help="where runs with a verdict are recorded (default: results/history.jsonl)",
    )
    return parser.parse_args()


def profiles_in_words() -> str:
    try:
        profiles = objectives.load().profile
    except ObjectivesError as error:
        return str(error)
    return "profiles:\n" + "\n".join(f"  {name:<16}{profile.summary}" for name, profile in profiles.items())


def run_and_judge(arguments: argparse.Namespace, wanted: Objectives) -> Verdict:
    if arguments.compare and arguments.baseline:
        raise BadUseError("--compare and --baseline cannot be combined. Choose one of them.")
    name = "versions" if arguments.compare else arguments.profile or "seed"
    profile = wanted[name]
    if arguments.run_time is not None:
        profile = dataclasses.replace(profile, run_time=arguments.run_time)
    if arguments.compare:
        profile = dataclasses.replace(profile, options=["--versions", ",".join(arguments.compare)])
    target = find_target(arguments)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    results = arguments.results / f"{name}-{now:%Y%m%d-%H%M%S}"
    try:
        results.mkdir(parents=True)
    except OSError as error:
        raise BadUseError(
            f"Results cannot be written to {results}: {error.strerror}. Choose another folder with --results."
        ) from None
    print(f"{name}: {profile.summary}", flush=True)

    record = run.execute(name, profile, target, arguments.objectives.resolve(), results.resolve())
    findings = verdict.judge(wanted, name, record)
    conclusion = verdict.conclude(findings, record)
    baseline = None
    if arguments.baseline:
        baseline = ratio_to_baseline(record, name, profile, arguments, results)
    line = history.entry(name, now.isoformat(), record, conclusion, baseline)
    write(results, record, findings, line)
    report(record, profile, findings, baseline)
    if conclusion is Verdict.NO_VERDICT:
        print("NO VERDICT: Locust itself lacked CPU, so its figures are not those of the service.", end=" ")
        print("Give it more `processes` in the objectives, or another machine.")
    else:
        history.append(arguments.history, line)
        print(f"{conclusion}: {sum(finding.met for finding in findings)} of {len(findings)} objectives met;", end=" ")
        print(f"all figures are in {results}")
    return conclusion


def find_target(arguments: argparse.Namespace) -> LoadTarget:
    """The service to load; it must answer, with any status."""
    ours = TorchServe.found() or TorchServe()
    host = (arguments.host or os.environ.get("API_BASE_URL") or ours.inference_url).rstrip("/")
    management = arguments.management_url or os.environ.get("API_MANAGEMENT_URL")
    if host == ours.inference_url:
        management = management or ours.management_url
    require_service(host)
    if arguments.baseline:
        require_service(arguments.baseline)
    if arguments.compare and arguments.routes == "gateway":
        raise BadUseError("--compare needs TorchServe's own routes. Give its address with --host.")
    routes = "torchserve" if arguments.compare else arguments.routes
    process = ours.process() if is_ours(host, ours) else None
    if process is not None or host == ours.inference_url:
        os.environ.setdefault("API_MODEL", ours.models[0])  # Locust's processes ask it
    elif not os.environ.get("API_MODEL"):
        with Client(host) as client:
            os.environ["API_MODEL"] = client.model or MNIST
    return LoadTarget(host, management, routes, process)


def is_ours(host: str, server: TorchServe) -> bool:
    """Whether our TorchServe or our gateway listens at this address."""
    split = urlsplit(host)
    gateway = Gateway(server)
    try:
        address = Address(str(split.hostname), split.port or (443 if split.scheme == "https" else 80)).from_here()
        return server.listens(address) or (gateway.listens(address) and not gateway.settings.nodes)
    except (ValueError, ServiceError):  # a name that cannot be resolved; settings that cannot be read
        return False


def require_service(url: str) -> None:
    try:
        requests.get(url, timeout=10)
    except requests.RequestException as error:
        if isinstance(error, ValueError):  # requests raises these for addresses that are not valid
            raise BadUseError(f"{url!r} is not a valid address. Use one like http://127.0.0.1:8080.") from None
        hint = "start ours with scripts/serve --detach, or name another with --host"
        raise BadUseError(no_answer(url, error, hint)) from None


def ratio_to_baseline(
    record: Record, name: str, profile: Profile, arguments: argparse.Namespace, results: Path
) -> float:
    """Mean of /predict ÷ that of another service, which gets the same load right afterwards."""
    aside = results / "baseline"
    aside.mkdir()
    target = LoadTarget(arguments.baseline.rstrip("/"))
    other = run.execute(name, profile, target, arguments.objectives.resolve(), aside.resolve())
    return float(record["endpoints"][PREDICT]["mean"] / other["endpoints"][PREDICT]["mean"])


def write(results: Path, record: Record, findings: Sequence[Finding], line: dict[str, Any]) -> None:
    """Write the verdict with all figures as JSON, and draw the charts."""
    (results / "run.json").unlink()
    told = [dataclasses.asdict(finding) for finding in findings]
    (results / "result.json").write_text(json.dumps({**line, "findings": told, "run": record}))
    title = f"{line['profile']}, {line['date'][:16].replace('T', ' ')}, {line['machine']}: {line['verdict']}"
    if record["samples"]:
        charts.over_time(record, title, results / "over_time.png")
    if "climb" in record:
        charts.climb(record, title, results / "climb.png")


def report(record: Record, wanted: Profile, findings: Sequence[Finding], baseline: float | None) -> None:
    """Print what was measured, and whether each objective was met."""
    columns = ("requests", "failures", "mean", "min", "max", "p50", "p95", "p99", "rps")
    print(f"\n{'':<24}" + "".join(f"{column:>10}" for column in columns))
    for name, figures in record["endpoints"].items():
        print(f"{name:<24}" + "".join(f"{figures[column]:>10g}" for column in columns))
    print()
    for error, count in sorted(record["errors"].items(), key=lambda item: -item[1])[:5]:
        print(f"{count} × {error}")
    if "climb" in record:
        print(f"Limit at the breaking point: {record['climb']['saturated']}")
    if "arrivals intended" in record["tally"]:
        intended, answered = (record["tally"].get(f"arrivals {what}", 0) for what in ("intended", "answered"))
        seconds = record["endpoints"][PREDICT]["requests"] / max(record["endpoints"][PREDICT]["rps"], 0.01)
        print(f"Arrivals: {intended / seconds:.1f} a second intended, {answered / seconds:.1f} answered")
    if wanted.growth and not any("jvm_memory" in sample for sample in record["footprint"]):
        print("The service is on another machine, so its memory and open files cannot be measured, only its latency.")
    if baseline is not None:
        print(f"Mean of /predict ÷ mean of the baseline: {baseline:.3f}")
    print(*findings, "", sep="\n")


def show_trend(arguments: argparse.Namespace, wanted: Objectives) -> Verdict:
    entries = [each for each in history.read(arguments.history) if arguments.profile in (None, each["profile"])]
    if not entries:
        raise BadUseError(f"{arguments.history} has no run of the profile `{arguments.profile}`.")
    findings = {key: history.regressions(runs, wanted.trend) for key, runs in history.comparable(entries).items()}
    flagged = {key: not all(finding.met for finding in group) for key, group in findings.items()}
    picture = arguments.history.with_name(TREND)
    charts.trend(entries, flagged, picture)
    for (profile, machine, model), group in findings.items():
        runs = len(history.comparable(entries)[profile, machine, model])
        print(
            f"{profile} of {model} on {machine}: {runs} run{'s' * (runs > 1)}" + ("" if group else ", too few to judge")
        )
        print(*group, sep="\n", end="\n" if group else "")
    regressed = any(flagged.values())
    print(f"{'FAIL: a regression' if regressed else 'PASS: no regression'}; the chart is {picture}")
    return Verdict.FAIL if regressed else Verdict.PASS
