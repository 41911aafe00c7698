"""One service as the main process of a container: `python -m mnist_torchserve.container torchserve`, or `gateway`.

Everything that it and its processes say goes to standard output, one JSON object a line. All that it writes lies in the
system's temporary folder, so that the rest can be read-only. SIGTERM ends it once what it has taken is answered.
Exit code 0: it was told to end; 1: it could not start, or ended unexpectedly, and the last line says why.
"""

import argparse
import datetime
import json
import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from mnist_torchserve import machine
from mnist_torchserve.daemon import Daemon, ServiceError
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.project import MODEL_STORE, ROOT
from mnist_torchserve.service import Archive, TorchServe

# The number of TorchServe's workers for each model; without it, what its archive says.
WORKERS = "TORCHSERVE_WORKERS"
# s until every gateway has found a node unhealthy that has withdrawn: two of its checks, one a second, and their time.
WITHDRAWAL = 5.0
_POLL = 0.5  # s


def main() -> int:
    """Run the service to its end; return the exit code."""
    parser = argparse.ArgumentParser(prog="container", description=__doc__.splitlines()[0])
    parser.add_argument("service", choices=("torchserve", "gateway"))
    arguments = parser.parse_args()
    machine.reach_without_proxy()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    said, output = os.pipe()
    relay = threading.Thread(target=relay_lines, args=(said, arguments.service), daemon=True)
    relay.start()
    home = Path(tempfile.gettempdir()) / "mnist"
    try:
        home.mkdir(parents=True, exist_ok=True)
        service = torchserve(home, output) if arguments.service == "torchserve" else gateway(home, output)
        (home / "health").write_text(service.health_url)  # read by deploy/healthcheck.py
        return run(service)
    except (ServiceError, OSError) as error:
        say("ERROR", str(error))
        return 1
    except KeyboardInterrupt:  # before there is anything to end
        return 0
    finally:
        os.close(output)
        relay.join(1)


def torchserve(home: Path, output: int) -> TorchServe:
    """TorchServe with the archives of the image, or copies with as many workers as the environment asks for.

    Raises:
        ServiceError: it asks for no number.
    """
    models, wanted = MODEL_STORE, os.environ.get(WORKERS, "")
    if wanted:
        if not wanted.isdecimal() or not 0 < int(wanted) <= 1_000:
            raise ServiceError(f"Expected a number from 1 to 1000 in the variable {WORKERS}, got `{wanted}`.")
        models = home / "models"
        models.mkdir(exist_ok=True)
        for archive in MODEL_STORE.glob("*.mar"):
            Archive(archive).variant(models, minWorkers=int(wanted), maxWorkers=int(wanted))
    log_config = ROOT / "deploy" / "torchserve" / "log4j2.xml"
    return TorchServe(home=home, model_store=models, log_config=log_config, output=output)


def gateway(home: Path, output: int) -> Gateway:
    """The gateway, whose nodes are elsewhere.

    Raises:
        ServiceError: the settings name none.
    """
    gateway = Gateway(home=home, output=output)
    if not gateway.settings.nodes:
        raise ServiceError("Expected the addresses of TorchServe nodes in `nodes` of settings.toml, got none.")
    return gateway


def run(service: Daemon) -> int:
    """Start a service, and stop it when this process is told to end."""
    began = time.monotonic()
    try:
        say("INFO", f"Starting {service.name}")
        service.start()
        service.wait_ready()
        say("INFO", f"Ready after {time.monotonic() - began:.1f} s")
        while not service.has_ended():
            time.sleep(_POLL)
        raise ServiceError(f"{service.name} ended unexpectedly.")
    except KeyboardInterrupt:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        say("INFO", f"Stopping {service.name}")
        if isinstance(service, TorchServe):
            with suppress(OSError):  # it has not begun yet
                service.withdraw()
                time.sleep(WITHDRAWAL)
        return 0
    finally:
        service.stop()
        say("INFO", f"Stopped {service.name}")


def relay_lines(source: int, name: str) -> None:
    """Print what comes from a file descriptor, each line that is no JSON object as the message of one."""
    with open(source, errors="replace") as lines:
        for line in lines:
            if _is_object(line):
                print(line.rstrip("\n"), flush=True)
            elif line.strip():
                say("INFO", line.rstrip(), name)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def say(level: str, message: str, logger: str = "container") -> None:
    """Print a line of the log."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    print(json.dumps({"time": now, "level": level, "logger": logger, "message": message}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
