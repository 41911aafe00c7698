"""An observation of the service on this machine: its metrics, its models and its problems."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from mnist_torchserve.gateway import Gateway
from mnist_torchserve.service import TorchServe, health
from . import scrape


@dataclass(frozen=True)
class Observation:
    """One observation of the servers that config.properties and deploy/gateway/settings.toml put on this machine."""

    runs: bool  # whether any of them runs, healthy or not
    problems: list[str]  # one sentence each
    metrics: scrape.Scrape
    java: str | None  # its version, and who made it; None if it is not our TorchServe that runs
    models: Mapping[str, Sequence[str]]  # the names of the classes of each model, if it is healthy and they have names

    @classmethod
    def make(cls) -> Self:
        """Scrape the metrics and check the health of every model.

        Raises:
            ServiceError: the gateway's settings are not valid.
        """
        server = TorchServe.found() or TorchServe()
        return cls.of(server, Gateway(server))

    @classmethod
    def of(cls, server: TorchServe, gateway: Gateway) -> Self:
        """Observe these two, as `make` does."""
        has_node = not gateway.settings.nodes
        torchserve = scrape.read(server.metrics_url) if has_node else None
        envoy = scrape.read(gateway.metrics_url)
        pages = [page for page in (torchserve, envoy) if page is not None]
        metrics = scrape.Scrape(pages)
        models: dict[str, Sequence[str]] = {}
        problems = []
        if has_node and (names := server.models):
            with ThreadPoolExecutor(len(names)) as pool:  # so that those that hang keep the others waiting no longer
                found = zip(names, pool.map(partial(_check, server.management_url), names), strict=True)
            for name, state in found:
                if isinstance(state, health.UnhealthyError):
                    which = f"TorchServe, model {name}" if len(names) > 1 else "TorchServe"
                    problems.append(f"{which}: {state}.")
                    models[name] = ()
                else:
                    models[name] = state["customizedMetadata"].get("labels", ())
        if envoy is None and (gateway.process() is not None or not has_node):
            problems.append(f"The gateway does not answer at {gateway.metrics_url}.")
        elif envoy is not None and not scrape.Scrape([envoy]).sum("envoy_cluster_membership_healthy"):
            problems.append("The gateway has no node whose workers answer.")
        runs = bool(pages) or server.process() is not None or gateway.process() is not None
        return cls(runs, problems, metrics, server.java(), models)


def _check(management_url: str, model: str) -> dict[str, Any] | health.UnhealthyError:
    try:
        return health.check(management_url, model)
    except health.UnhealthyError as error:
        return error
