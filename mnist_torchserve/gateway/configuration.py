"""Envoy's configuration: deploy/gateway/envoy.yaml and the settings, as a bootstrap and the files that it watches.

Keys, nodes and certificates may change while Envoy runs. They are in separate files, which Envoy reads again as soon as
they are replaced.
"""

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from mnist_torchserve.ports import Address
from mnist_torchserve.project import ROOT
from . import demo_routes
from .settings import Node, Settings, SettingsError

TEMPLATE = ROOT / "deploy" / "gateway" / "envoy.yaml"

Config = dict[str, Any]

_MODEL = "MODEL"  # stands for a model's name in the template
_ALL_MODELS = rf"[\"{_MODEL}\"]"  # the list of all, inside a string in JSON

_TYPE = "type.googleapis.com/envoy."
# Envoy's statistic for the version of a file that it has read.
_VERSIONS = {
    "routes": "http.gateway.rds.routes.version_text",
    "inference": "cluster.inference.version_text",
    "grpc": "cluster.grpc.version_text",
    "management": "cluster.management.version_text",
    "certificate": "sds.certificate.version_text",
    "client_authority": "sds.client_authority.version_text",
}


def derive(template: Path, settings: Settings, nodes: Sequence[Node], models: Sequence[str], admin: Path) -> Config:
    """Fill addresses, nodes, keys and certificates into the template, and return it in one piece.

    Args:
        template: an Envoy configuration with the listeners `gateway` and `metrics`, and the clusters `admin`,
            `inference`, `grpc` and `management`.
        settings: addresses, keys, certificates, and whether there is a page to draw on.
        nodes: the TorchServe nodes, instead of those in the settings.
        models: the names of the models that they serve. `/predict` uses the first.
        admin: the socket of Envoy's own administration, which only this user can open.
    """
    text = template.read_text()
    config: Config = yaml.safe_load(text.replace(_MODEL, models[0]))
    config["admin"]["address"]["pipe"]["path"] = str(admin)
    listener, metrics = config["static_resources"]["listeners"]
    listener["address"] = _socket_address(settings.listen)
    metrics["address"] = _socket_address(settings.metrics)
    manager = _connection_manager(config)
    manager["xff_num_trusted_hops"] = settings.trusted_proxies
    _limit_rates(manager["http_filters"], settings)
    [host] = manager["route_config"]["virtual_hosts"]
    [template_host] = _connection_manager(yaml.safe_load(text))["route_config"]["virtual_hosts"]
    host["routes"] = routes = [own for route in template_host["routes"] for own in _of_each(route, models)]
    if settings.keys:
        _ask_for_keys(routes, settings.keys)
    if settings.demo:
        routes[-1:-1] = demo_routes.routes()  # before the last one, which refuses all other paths
    if settings.certificate:
        listener["filter_chains"][0]["transport_socket"] = _tls(settings)
    for cluster in config["static_resources"]["clusters"]:
        if cluster["name"] == "admin":
            endpoint = {"address": {"pipe": {"path": str(admin)}}}
            cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": [{"endpoint": endpoint}]}]
            continue
        found = [(node, address) for node in nodes if (address := getattr(node, cluster["name"])) is not None]
        cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": [_endpoint(*each) for each in found]}]
        if any(address.ip() is None for _, address in found):
            cluster |= {"type": "STRICT_DNS", "dns_lookup_family": "V4_PREFERRED"}
    return config


def validate(envoy: str, config: Config, folder: Path) -> None:
    """Let Envoy check a configuration in one piece, through a file in `folder`.

    Raises:
        SettingsError: with Envoy's own reason.
    """
    # The file contains keys. If this process is killed, the folder keeps others from reading them until the next start.
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", dir=folder) as file:
        yaml.safe_dump(config, file)
        file.flush()
        command = [envoy, "--mode", "validate", "--log-level", "error", "-c", file.name]
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
    if checked.returncode:
        said = (checked.stderr or checked.stdout).strip().splitlines()
        reason = said[0].partition("error initializing configuration")[2].partition(": ")[2] if said else ""
        raise SettingsError(f"Envoy refuses its configuration: {reason or said}")


def write(config: Config, folder: Path) -> dict[str, str]:
    """Write a configuration as a bootstrap and the files that it watches.

    Returns:
        The expected version of each file, by the name of Envoy's statistic for it.

    Raises:
        SettingsError: Envoy already runs in this folder, and needs a restart for the change.
    """
    watched = _split(config, folder)
    bootstrap = folder / "envoy.yaml"
    text = yaml.safe_dump(config)
    if bootstrap.exists() and bootstrap.read_text() != text:
        raise SettingsError(
            "`listen`, `metrics`, rates, `trusted_proxies`, TLS as such, names among the nodes, and envoy.yaml itself "
            "are read at start alone: restart with scripts/stop and scripts/serve --gateway."
        )
    versions = {}
    for name, resource in watched.items():
        version = hashlib.sha256(yaml.safe_dump(resource).encode()).hexdigest()[:12]
        versions[_VERSIONS[name]] = version
        _replace(folder / f"{name}.yaml", yaml.safe_dump({"version_info": version, "resources": [resource]}))
    _replace(bootstrap, text)
    return versions


def _split(config: Config, folder: Path) -> dict[str, Config]:
    """Move what may change while Envoy runs out of a configuration, which then names a file for each resource."""
    watched: dict[str, Config] = {}

    def watch(name: str, kind: str, resource: Config) -> Config:
        watched[name] = {"@type": _TYPE + kind, **resource}
        return {"path_config_source": {"path": str(folder / f"{name}.yaml")}, "resource_api_version": "V3"}

    manager = _connection_manager(config)
    source = watch("routes", "config.route.v3.RouteConfiguration", manager.pop("route_config"))
    manager["rds"] = {"route_config_name": "routes", "config_source": source}

    for cluster in config["static_resources"]["clusters"]:
        if cluster["type"] == "STATIC" and cluster["name"] != "admin":
            kind = "config.endpoint.v3.ClusterLoadAssignment"
            source = watch(cluster["name"], kind, cluster.pop("load_assignment"))
            cluster |= {"type": "EDS", "eds_cluster_config": {"eds_config": source}}

    if socket := config["static_resources"]["listeners"][0]["filter_chains"][0].get("transport_socket"):
        kind = "extensions.transport_sockets.tls.v3.Secret"
        tls = socket["typed_config"]["common_tls_context"]
        [certificate] = tls.pop("tls_certificates")
        source = watch("certificate", kind, {"name": "certificate", "tls_certificate": certificate})
        tls["tls_certificate_sds_secret_configs"] = [{"name": "certificate", "sds_config": source}]
        if "validation_context" in tls:
            secret = {"name": "client_authority", "validation_context": tls.pop("validation_context")}
            source = watch("client_authority", kind, secret)
            tls["validation_context_sds_secret_config"] = {"name": "client_authority", "sds_config": source}
    return watched


def _connection_manager(config: Config) -> Config:
    manager: Config = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][-1]["typed_config"]
    return manager


def _ask_for_keys(routes: Sequence[Config], keys: Sequence[str]) -> None:
    known = [{"header": {"name": "x-api-key", "string_match": {"exact": key}}} for key in keys]
    rule = {
        "@type": _TYPE + "extensions.filters.http.rbac.v3.RBACPerRoute",
        "rbac": {"rules": {"policies": {"keys": {"permissions": [{"any": True}], "principals": known}}}},
    }
    for route in routes:
        if route["name"] == "predict":
            route["typed_per_filter_config"]["envoy.filters.http.rbac"] = rule


def _limit_rates(filters: Sequence[Config], settings: Settings) -> None:
    """Set both rates. Envoy fills the two token buckets together, ten times a second if the rates divide by ten."""
    rates = settings.rate_limit_all, settings.rate_limit_client
    fills = 10 if all(rate % 10 == 0 for rate in rates) else 1  # a second

    def bucket(rate: int, seconds: int) -> Config:
        return {"max_tokens": rate * seconds, "tokens_per_fill": rate // fills, "fill_interval": f"{1 / fills:g}s"}

    [limit] = [each["typed_config"] for each in filters if each["name"] == "envoy.filters.http.local_ratelimit"]
    limit["token_bucket"] = bucket(settings.rate_limit_all, 1)
    [client] = limit["descriptors"]
    client["token_bucket"] = bucket(settings.rate_limit_client, 2)


def _of_each(route: Config, models: Sequence[str]) -> list[Config]:
    """Return a route of the template for each model. Routes that name no model, such as `/predict`, are the first's."""
    text, names = json.dumps(route), ", ".join(f'"{model}"' for model in models)
    listed = json.dumps(f"[{names}]")[1:-1]
    named = models if _MODEL in json.dumps(route["match"]) else models[:1]
    return [json.loads(listed.join(part.replace(_MODEL, model) for part in text.split(_ALL_MODELS))) for model in named]


def _tls(settings: Settings) -> Config:
    certificate = {
        "certificate_chain": {"inline_string": settings.certificate},
        "private_key": {"inline_string": settings.private_key},
    }
    context: Config = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [certificate],
        "alpn_protocols": ["h2", "http/1.1"],
    }
    if settings.client_authority:
        context["validation_context"] = {"trusted_ca": {"inline_string": settings.client_authority}}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": _TYPE + "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": context,
            "require_client_certificate": bool(settings.client_authority),
        },
    }


def _endpoint(node: Node, address: Address) -> Config:
    # Health checks go to the management port: only that one shows whether a worker answers.
    check: Config = {"port_value": node.management.port}
    endpoint: Config = {"address": _socket_address(address), "health_check_config": check}
    return {"endpoint": endpoint, "health_status": "DRAINING" if node.draining else "UNKNOWN"}


def _socket_address(address: Address) -> Config:
    return {"socket_address": {"address": address.host, "port_value": address.port}}


def _replace(path: Path, text: str) -> None:
    """Replace a file with a new one that only this user can read. Envoy reads it when it appears."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)
