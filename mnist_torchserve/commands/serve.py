"""Start the service: environment, archive, TorchServe, and predictions of a few real digits to show that it works.

With --gateway, Envoy runs in front, with the routes, limits and keys in deploy/gateway. A TorchServe that already runs
keeps running.
The command stays in the foreground until Ctrl-C or SIGTERM. With --detach, it returns after the first predictions.
Exit code 0: the service predicted, and in the foreground ended cleanly. 1: it could not start; the message says why.
"""

import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import requests
from mnist_torchserve.client import digits
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.project import EXAMPLE, ROOT
from mnist_torchserve.service import Archive, TorchServe
from . import command_line, tell

SHOWN = 5  # digits
POLL = 0.2  # s

Service = TorchServe | Gateway


def main() -> None:
    parser = command_line("serve", __doc__)
    parser.add_argument("--detach", action="store_true", help="return once a prediction was answered")
    parser.add_argument("--gateway", action="store_true", help="start the gateway in front of it as well")
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="the model that /predict uses, instead of the first of `load_models` in config.properties; repeat it for "
        "further models",
    )
    arguments = parser.parse_args()
    try:
        for model in arguments.model:
            Archive.named(model)
        services = local_services(arguments.gateway, list(dict.fromkeys(arguments.model)))
        if isinstance(services[0], TorchServe):
            archives = [Archive.named(model) for model in services[0].models]
            for archive in archives:
                archive.require()
            require_served(services[0])
            for archive in archives:
                archive.build_if_outdated()
        serve(services, arguments.detach)
    except ServiceError as error:
        sys.exit(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        sys.exit(
            f"{error.filename} cannot be written: {error.strerror}. The service keeps its state and its logs there."
        )
    except KeyboardInterrupt:
        tell("The service has ended; its ports are free.")


def local_services(with_gateway: bool, models: Sequence[str] = ()) -> list[Service]:
    """Return the services to run on this machine, in the order of their start."""
    server = TorchServe(models=models)
    if not with_gateway:
        return [server]
    gateway = Gateway(server)
    return [gateway] if gateway.settings.nodes else [server, gateway]


def require_served(server: TorchServe) -> None:
    """Raise ServiceError if TorchServe is already running, without one of the models that it should serve."""
    served = TorchServe().models
    if server.process() is not None and (lacking := [model for model in server.models if model not in served]):
        raise ServiceError(
            f"TorchServe is already running and serves {', '.join(served)}, not {', '.join(lacking)}: "
            "stop it with scripts/stop, then start it with a --model for each model."
        )


def commands_to_serve(model: str) -> list[str]:
    """Return the commands that serve a new archive of a model, and what is served already."""
    server = TorchServe()
    if server.process() is None:
        return [f"scripts/serve --model {model}"]
    has_gateway = Gateway(server).process() is not None
    if has_gateway and model in server.models:
        return ["scripts/update"]
    models = "".join(f" --model {each}" for each in dict.fromkeys([*server.models, model]))
    return ["scripts/stop", f"scripts/serve{models}{' --gateway' if has_gateway else ''}"]


def serve(services: Sequence[Service], detach: bool) -> None:
    """Start services in turn. The end of this process stops them, except with `detach` once they are ready."""
    with ExitStack() as started:
        for service in services:
            if service.process() is not None and service is not services[-1]:
                tell(f"{service.name} is already running")
                continue
            if len(services) > 1 and service.process() is not None:
                raise ServiceError(
                    f"Already running: {service.name} and what is behind it. scripts/update replaces a model with its "
                    "new archive, and scripts/stop ends them."
                )
            began = time.monotonic()
            tell(f"Starting {service.name}")
            service.start()
            started.callback(stop, service)
            service.wait_ready()
            tell(f"Ready after {time.monotonic() - began:.1f} s at {service.url}")
        if detach:
            started.pop_all()
        show(services)
        if detach:
            print("\nThe service runs in the background; scripts/stop ends it.")
            return
        print("\nThe service runs; Ctrl-C ends it.", flush=True)
        ended = wait_for_end(services)
        raise ServiceError(f"{ended.name} ended unexpectedly; its logs are in {ended.logs}.")


def stop(service: Service) -> None:
    tell(f"Stopping {service.name}")
    service.stop()


def wait_for_end(services: Sequence[Service]) -> Service:
    """Return the first service that ends."""
    while True:
        for service in services:
            if service.has_ended():
                return service
        time.sleep(POLL)


def show(services: Sequence[Service]) -> None:
    """Show answers of the outermost service that lets this machine in, and where to draw."""
    # A gateway may need a certificate that only clients have.
    open_to_us = [each for each in services if isinstance(each, TorchServe) or not each.settings.client_authority]
    for service in services:
        if isinstance(service, Gateway) and not service.has_healthy_node():
            nodes = ", ".join(str(node.inference) for node in service.nodes)
            print(f"\nNo node is healthy yet: clients get 503 until one of these is: {nodes}")
            open_to_us = []
    if open_to_us:
        show_predictions(open_to_us[-1])
    for service in services:
        if isinstance(service, Gateway) and service.demo_url:
            what = "a digit" if Archive.named(service.models[0]).is_ours else "something"
            print(f"\nDraw {what} yourself:\n  {service.demo_url}")


def show_predictions(service: Service) -> None:
    """Send images, and draw each one next to its answer."""
    with service.session() as session:
        for image, label in examples(service.models[0]):
            try:
                asked = session.post(service.predict_url, json={"data": (image / 255).tolist()}, timeout=10)
                asked.raise_for_status()
                answer = asked.json()
            except requests.RequestException as error:
                raise ServiceError(f"{service.name} is ready, but did not answer an image: {error}.") from None
            print("\n" + beside(digits.draw(image), label, answer))
        key = " -H 'x-api-key: …'" if "x-api-key" in session.headers else ""
    example = EXAMPLE.relative_to(ROOT)
    said = f"curl {service.predict_url}{key} -H 'Content-Type: application/json' -d @{example}"
    print(f"\nTry it:\n  {said}")


def examples(model: str) -> Iterable[tuple[digits.Levels, int]]:
    """Return images (784,) with their labels: real digits, or the golden example of a model of other things."""
    archive = Archive.named(model)
    if archive.is_ours:
        pixels, labels = digits.sample()
        return zip(pixels[:SHOWN], labels[:SHOWN].tolist(), strict=True)
    golden = archive.golden_example()
    return [(digits.levels(np.array(golden["data"], np.float32)), golden["prediction"])]


def beside(drawing: str, label: int, answer: dict[str, Any]) -> str:
    """Return a drawn image with its label and its answer on the right."""
    lines = drawing.splitlines()
    named = f" ({answer['label']})" if "label" in answer else ""
    said = [f"label       {label}", f"prediction  {answer['prediction']}{named}"]
    said += [f"confidence  {answer['confidence']:.4f}"]
    start = (len(lines) - len(said)) // 2
    remarks = [said[n - start] if start <= n < start + len(said) else "" for n in range(len(lines))]
    return "\n".join(f"  {line:<28}    {remark}".rstrip() for line, remark in zip(lines, remarks, strict=True))
