"""Envoy's administration interface, on a socket in the file system that only this user can open."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any, NamedTuple

_TIMEOUT = 2.0  # s


class NodeState(NamedTuple):
    """The state of a node, as Envoy sees it."""

    healthy: bool
    draining: bool
    active: int  # requests that it has not answered yet


class Admin:
    """The administration of one Envoy.

    Args:
        socket_path: its socket. Every method raises OSError if Envoy does not answer there.
    """

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path

    def is_live(self) -> bool:
        """Whether it has its whole configuration and listens."""
        status, _ = self._ask("GET", "/ready")
        return status == 200

    def stats(self, *names: str) -> dict[str, int | str]:
        """Return counters, gauges and texts, without those that Envoy does not have yet."""
        _, body = self._ask("GET", f"/stats?format=json&filter=^({'|'.join(names)})$")
        return {stat["name"]: stat["value"] for stat in json.loads(body)["stats"] if "name" in stat}

    def nodes(self) -> dict[str, NodeState]:
        """Return the nodes of the cluster `inference`, by `host:port`."""
        _, body = self._ask("GET", "/clusters?format=json")
        [cluster] = [c for c in json.loads(body)["cluster_statuses"] if c["name"] == "inference"]
        return dict(_node_state(host) for host in cluster.get("host_statuses", []))

    def drain(self) -> None:
        """Ask every client to close its connection after its next answer, and stop listening after the drain time."""
        self._ask("POST", "/drain_listeners?graceful")

    def _ask(self, method: str, path: str) -> tuple[int, bytes]:
        connection = _SocketConnection(self._socket_path)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            raise OSError(f"Envoy's administration answered with {error!r}.") from None
        finally:
            connection.close()


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(str(self._path))


def _node_state(host: dict[str, Any]) -> tuple[str, NodeState]:
    address = host["address"]["socket_address"]
    health = host["health_status"]
    stats = {stat["name"]: int(stat.get("value", 0)) for stat in host["stats"]}
    draining = health.get("eds_health_status") == "DRAINING"
    ill = {"failed_active_health_check", "failed_outlier_check", "pending_active_hc"} & {
        k for k, v in health.items() if v
    }
    state = NodeState(healthy=not ill, draining=draining, active=stats["rq_active"])
    name = address["address"]
    return (f"[{name}]" if ":" in name else name) + f":{address['port_value']}", state
