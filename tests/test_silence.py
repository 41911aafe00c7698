"""Once installed, nothing leaves the machine: the whole product in a network whose way out is watched."""

import re
from collections.abc import Iterator

import pytest
from tests.support.checkout import Checkout
from tests.support.namespace import Namespace, namespace

# The resolver and everything else in the world lie behind the interface `out`; a packet that it sends is counted.
WATCHED = """
sysctl -qw net.ipv6.conf.default.disable_ipv6=1
ip link add out type veth peer name sink
ip link set sink up
ip address add 10.66.0.1/24 dev out
ip link set out up
ip neighbour add 10.66.0.2 lladdr 02:00:00:00:00:01 dev out nud permanent
ip route add default via 10.66.0.2
echo nameserver 10.66.0.2 > "$RESOLVER"
mount --bind "$RESOLVER" /etc/resolv.conf
"""


@pytest.fixture
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    resolver = tmp_path_factory.mktemp("resolver") / "resolv.conf"
    with namespace(WATCHED.replace("$RESOLVER", str(resolver))) as made:
        yield made


def packets_out(network: Namespace) -> int:
    """How many packets have left so far."""
    [sent] = re.findall(r"(?m)^ *out: (?:\d+ +){9}(\d+)", re.sub(r" +", " ", network.run("cat /proc/net/dev")))
    return int(sent)


def test_nothing_leaves_the_machine(checkout: Checkout, network: Namespace) -> None:
    checkout.prefix = network.enter
    before = packets_out(network)
    checkout.run("scripts/serve --gateway --detach")
    checkout.run("scripts/predict docs/seven.json")
    load = "--history history.jsonl --run-time 3 --host http://127.0.0.1:8000 --routes gateway"
    checkout.run(checkout.on_own_ports(f"scripts/loadtest {load}; scripts/update && scripts/status && scripts/stop"))
    assert packets_out(network) == before, checkout.output()
    # The watch is awake: a name, and an address, that somebody asks for.
    for ask in ('gethostbyname("example.org")', 'create_connection(("192.0.2.1", 80))'):
        before = packets_out(network)
        checkout.run(f"timeout 2 python -c 'import socket; socket.{ask}' || true")
        assert packets_out(network) > before, ask
