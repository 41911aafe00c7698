"""An observation of the service on this machine: its metrics and its problems."""

from dataclasses import dataclass
from typing import Self

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

    @classmethod
    def make(cls) -> Self:
        """Scrape the metrics and check the health.

        Raises:
            ServiceError: the gateway's settings are not valid.
        """
        server = TorchServe()
        gateway = Gateway(server)
        has_node = not gateway.settings.nodes
        torchserve = scrape.read(server.metrics_url) if has_node else None
        envoy = scrape.read(gateway.metrics_url)
        pages = [page for page in (torchserve, envoy) if page is not None]
        problems = []
        if has_node:
            try:
                health.check(server.management_url, server.models[0])
            except health.UnhealthyError as error:
                problems.append(f"TorchServe: {error}.")
        if envoy is None and (gateway.process() is not None or not has_node):
            problems.append(f"The gateway does not answer at {gateway.metrics_url}.")
        elif envoy is not None and not scrape.Scrape([envoy]).sum("envoy_cluster_membership_healthy"):
            problems.append("The gateway has no node whose workers answer.")
        runs = bool(pages) or server.process() is not None or gateway.process() is not None
        return cls(runs, problems, scrape.Scrape(pages), server.java())
