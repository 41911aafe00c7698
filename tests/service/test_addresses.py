"""Where TorchServe and the gateway listen: in every spelling, and never where somebody else does."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.ports import Address
from mnist_torchserve.service import TorchServe
from tests.support.checkout import Checkout
from tests.support.fixtures import MakeGateway
from tests.support.namespace import Namespace, namespace

ADDRESS = "10.9.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104, of a network that the test made


@pytest.fixture
def network() -> Iterator[Namespace]:
    """A network with an address that is not loopback's."""
    with namespace(f"ip address add {ADDRESS}/32 dev lo") as made:
        yield made


def listen(checkout: Checkout, server: str, gateway: str) -> None:
    """Let TorchServe, and the gateway, listen on other hosts of the network that its commands run in."""
    config, settings = checkout.root / "config.properties", checkout.root / "deploy" / "gateway" / "settings.toml"
    config.write_text(re.sub(r"(_address=(http://)?)127\.0\.0\.1", rf"\g<1>{server}", config.read_text()))
    text = re.sub(r'"127\.0\.0\.1:', f'"{gateway}:', settings.read_text())
    settings.write_text(text.replace("without_keys = false", "without_keys = true"))


@pytest.mark.parametrize(
    ("server", "gateway", "shown"),
    [("localhost", "localhost", "127.0.0.1"), (EVERYWHERE, "[::]", "[::1]"), (ADDRESS, "[0:0:0:0:0:0:0:1]", "[::1]")],
)
def test_service_is_started_asked_updated_and_stopped(
    checkout: Checkout, network: Namespace, server: str, gateway: str, shown: str
) -> None:
    checkout.prefix = network.enter
    listen(checkout, server, gateway)
    output = checkout.run("scripts/serve --gateway --detach")
    assert f"http://{shown}:" in output
    [curl] = re.findall("curl .*", output)
    assert '{"prediction": 7, "confidence": 0.' in checkout.run(f"{curl} -gs")
    assert "healthy" in checkout.run("scripts/status --seconds 0.1")
    assert "prediction  7" in checkout.run("scripts/predict docs/seven.json")
    assert checkout.run("scripts/update").endswith("The service has the new model.\n")
    assert "prediction  7" in checkout.run("scripts/predict docs/seven.json")
    assert "The service has ended" in checkout.run("scripts/stop")
    assert "LISTEN" not in network.run("cat /proc/net/tcp /proc/net/tcp6 | grep ' 0A ' | sed 's/.*/LISTEN/' || true")


def test_second_checkout_is_told_who_listens_there(checkout: Checkout, network: Namespace) -> None:
    checkout.prefix = network.enter
    listen(checkout, ADDRESS, ADDRESS)
    checkout.run("scripts/serve --gateway --detach")
    checkout.run("mv .run theirs")  # as if these were another's
    try:
        address = checkout.server.addresses[0]
        taken = f"cannot listen on {address}: port {address.port} is taken by process"
        assert taken in checkout.run("scripts/serve --gateway --detach", code=1)
    finally:
        checkout.run("rm -r .run; mv theirs .run")


def test_server_that_lost_the_race_for_a_port_is_not_taken_for_the_winner(
    node: TorchServe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Address, "obstacle", lambda _: None)
    late = TorchServe.on_free_ports(
        tmp_path, inference_address=node.inference_url, management_address=node.management_url
    )
    with pytest.raises(ServiceError, match="Failed to bind to address"), late.running():
        pass


def test_gateway_shares_its_port_with_nobody(
    node: TorchServe, make_gateway: MakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_gateway(node).running() as first:
        monkeypatch.setattr(Address, "obstacle", lambda _: None)
        second = make_gateway(node, listen=str(first.settings.listen))
        with pytest.raises(ServiceError, match="Address already in use"), second.running():
            pass
        assert first.process() is not None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://torchserve:8080", "torchserve:8080"),
        ("[::1]:8000", "[::1]:8000"),
        ("[0:0:0:0:0:0:0:1]:8000", "[::1]:8000"),
        ("[FE80::0001]:8000", "[fe80::1]:8000"),
        ("[::ffff:127.0.0.1]:8000", "127.0.0.1:8000"),
    ],
)
def test_address_has_one_spelling(text: str, address: str) -> None:
    assert str(Address.parse(text)) == address


@pytest.mark.parametrize(
    ("host", "here"), [(EVERYWHERE, "127.0.0.1"), ("::", "::1"), ("localhost", "127.0.0.1"), ("10.9.0.1", "10.9.0.1")]
)
def test_address_is_reached_from_here(host: str, here: str) -> None:
    assert Address(host, 80).from_here() == Address(here, 80)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("inference_address=http://127.0.0.1:99999", 'Expected an address like .* got "http://127.0.0.1:99999"'),
        ("inference_address=http://[::1]:8080", "TorchServe takes no IPv6 address"),
        ("inference_address=https://127.0.0.1:8443", 'Expected an address like "http://127.0.0.1:8080"'),
        ("inference_address=8080", 'Expected an address like "http://127.0.0.1:8080"'),
        ("grpc_inference_port=seventy", "Expected an address like .*seventy"),
        ("inference_address: http://127.0.0.1:8080", "Expected `key=value` on one line and in ASCII"),
        ("inference_address http://127.0.0.1:8080", "Expected `key=value` on one line and in ASCII"),
        ("vmargs=-Xmx256m \\", "Expected `key=value` on one line and in ASCII"),
        ("# f\xfcr", "Expected UTF-8, got other bytes"),
    ],
)
def test_settings_of_torchserve_that_cannot_be_meant_are_named(tmp_path: Path, line: str, said: str) -> None:
    config = tmp_path / "config.properties"
    config.write_bytes(f"! a comment\n{line}\n".encode("latin-1"))
    with pytest.raises(ServiceError, match=rf"{said}.*; in {re.escape(str(config))}"):
        _ = TorchServe(config, tmp_path).addresses


def test_settings_that_are_silent_are_those_of_torchserve(tmp_path: Path) -> None:
    config = tmp_path / "config.properties"
    config.write_text("! nothing = set\n  # nor here\n\n")
    usual = ["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8082", "127.0.0.1:7070", "127.0.0.1:7071"]
    assert [str(address) for address in TorchServe(config, tmp_path).addresses] == usual
