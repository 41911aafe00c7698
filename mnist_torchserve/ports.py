"""TCP addresses of this machine: parsing them, and finding out whether they are free and who uses them."""

import errno
import ipaddress
import random
import socket
from contextlib import ExitStack, suppress
from typing import NamedTuple, Self

import psutil

_UNASSIGNED = range(20_000, 32_768)  # below those that Linux assigns by itself, which begin at 32,768


class Address(NamedTuple):
    """An address to listen on: the name or IP address of a host, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host:port` or `[IPv6]:port`, with or without `http://` before it.

        Raises:
            ValueError: the text is neither.
        """
        host, _, port = text.removeprefix("http://").removesuffix("/").rpartition(":")
        name = host.removeprefix("[").removesuffix("]")
        is_bracketed = host == f"[{name}]"
        if not name or is_bracketed != (":" in name) or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f'Expected an address like "127.0.0.1:8000" or "[::1]:8000", got "{text}"')
        address = cls(name, int(port))._in_one_spelling()
        if address.ip() is None and ":" in name:
            raise ValueError(f'Expected an IPv6 address in the brackets, got "{text}"')
        return address

    def _in_one_spelling(self) -> Self:
        """The same address with its IP address in the usual notation."""
        ip = self.ip()
        return self if ip is None else self._replace(host=str((ip.version == 6 and ip.ipv4_mapped) or ip))

    def ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host as an IP address; None if it is a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    def is_loopback(self) -> bool:
        """Whether it is an IP address that only this machine can reach."""
        ip = self.ip()
        return ip is not None and ip.is_loopback

    def resolved(self) -> Self:
        """The same address with the IP address of its host; IPv4 is preferred, as in Java.

        Raises:
            ValueError: this machine cannot resolve the name.
        """
        if self.ip() is not None:
            return self
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise ValueError(f'No address is known here for the name "{self.host}"') from None
        hosts = {family: str(address[0]) for family, *_, address in reversed(found)}
        return self._replace(host=hosts.get(socket.AF_INET) or hosts[socket.AF_INET6])

    def from_here(self) -> Self:
        """How this machine reaches a server that listens on this address.

        Raises:
            ValueError: this machine cannot resolve the name.
        """
        address = self.resolved()
        if (ip := address.ip()) is not None and ip.is_unspecified:
            return address._replace(host="127.0.0.1" if ip.version == 4 else "::1")
        return address

    def obstacle(self) -> str | None:
        """The reason why a server cannot listen on this address; None if it can."""
        try:
            address = self.resolved()
        except ValueError as error:
            return str(error)
        with socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET) as probe:
            # Servers set this too. It treats a port as free that only waits for late packets.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return f"port {self.port} is taken by {_listener(self.port)}"
                if error.errno == errno.EADDRNOTAVAIL:
                    return f"{self.host} is not an address of this machine"
                return f"{error.strerror}"
        return None

    def hears(self, other: Self) -> bool:
        """Whether a server that listens on this address is reached at the IP address `other`."""
        if self.port != other.port:
            return False
        if (ip := self.ip()) is not None and ip.is_unspecified:
            return other._replace(port=0).obstacle() is None  # whether it is an address of this machine
        return self._in_one_spelling() == other._in_one_spelling()

    def is_taken(self) -> bool:
        """Whether no other server can listen on this address now."""
        return self.obstacle() is not None


def _listener(port: int) -> str:
    """The process that listens on a port, if we may see it."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        connections = []
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and getattr(connection.laddr, "port", None) == port
        if listens and connection.pid:
            return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "another process"


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free, and that the system gives to no connection before they are taken."""
    ports: list[int] = []
    with ExitStack() as stack:
        for port in random.SystemRandom().sample(_UNASSIGNED, len(_UNASSIGNED)):
            with suppress(OSError):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                ports.append(port)
            if len(ports) == count:
                return ports
    raise OSError(errno.EADDRINUSE, f"fewer than {count} ports of 127.0.0.1 are free")
