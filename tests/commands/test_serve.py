"""scripts/serve and scripts/stop, and the service's start and end as a user sees them."""

import re
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest
from mnist_torchserve.waiting import wait_until
from tests.support import stub
from tests.support.checkout import Checkout
from tests.support.workers import have_ended, is_well


def assert_gone(checkout: Checkout, family: list[psutil.Process]) -> None:
    assert have_ended(family)
    assert not any(address.is_taken() for address in checkout.server.addresses)


def test_detached_service_predicts_until_it_is_stopped(checkout: Checkout) -> None:
    output = checkout.run("scripts/serve --detach")
    labels = re.findall(r"label +(\d)", output)
    assert len(labels) == 5
    assert re.findall(r"prediction +(\d)", output) == labels
    [curl] = re.findall(r"curl .*", output)
    assert re.match(r'\{"prediction": 7, "confidence": 0\.\d+\}', checkout.run(curl + " -s"))

    assert "prediction  7" in checkout.run("scripts/predict docs/seven.json")
    assert "Already running: TorchServe, process" in checkout.run("scripts/serve --detach", code=1)

    family = checkout.server.family()
    assert len(family) >= 3  # the JVM and two workers
    assert checkout.run("scripts/stop") == "The service has ended; its ports are free.\n"
    assert_gone(checkout, family)

    assert checkout.run("scripts/stop") == "Nothing to end: the service does not run.\n"


def test_proxy_of_the_environment_is_for_other_machines(checkout: Checkout) -> None:
    with stub.running() as proxy:
        proxy.answers_left = usual = 1_000
        checkout.variables |= dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"), proxy.url)
        checkout.variables |= {"no_proxy": "example.org", "NO_PROXY": "example.org"}
        checkout.run("scripts/serve --gateway --detach")
        assert "prediction  7" in checkout.run("scripts/predict docs/seven.json")
        assert "healthy" in checkout.run("scripts/status")
        checkout.run("scripts/reload")
        checkout.run("pytest -q -n0 tests/test_api.py")
        checkout.run("scripts/stop")
        assert proxy.answers_left == usual, "nobody asked it for anything"


def test_gateway_whose_nodes_are_away_says_so_and_recovers_when_one_comes(checkout: Checkout) -> None:
    settings = checkout.root / "deploy" / "gateway" / "settings.toml"
    node = checkout.on_own_ports('[{inference = "127.0.0.1:8080", management = "127.0.0.1:8081"}]')
    settings.write_text(re.sub(r"(?m)^nodes = .*$", f"nodes = {node}", settings.read_text()))
    assert "No node is healthy yet" in checkout.run("scripts/serve --gateway --detach")
    status = "curl -s -o /dev/null -w '%{http_code}' " + checkout.gateway.url + "/health"
    assert checkout.run(status) == "503"
    checkout.run("scripts/serve --detach")
    wait_until(lambda: checkout.run(status) == "200", 10)


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_service_in_the_foreground_ends_without_a_trace(checkout: Checkout, signal_: signal.Signals) -> None:
    process = checkout.popen("env --default-signal scripts/serve")  # what runs this may ignore some
    checkout.wait_for_output("Ctrl-C ends it")
    family = checkout.server.family()
    process.send_signal(signal_)
    assert process.wait(30) == 0
    assert checkout.output().endswith("The service has ended; its ports are free.\n")
    assert_gone(checkout, family)


def test_gateway_is_put_before_a_service_that_runs(checkout: Checkout) -> None:
    checkout.run("scripts/serve --detach")
    process = checkout.popen("env --default-signal scripts/serve --gateway")
    checkout.wait_for_output("Ctrl-C ends it")
    assert checkout.output().startswith("TorchServe is already running\nStarting the gateway\n")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert checkout.gateway.process() is None
    assert is_well(checkout.server), "it ends what it has started"


def test_reader_that_goes_leaves_no_service_behind(checkout: Checkout) -> None:
    checkout.run("scripts/serve --gateway | head -1")
    assert checkout.server.process() is None
    assert checkout.gateway.process() is None
    assert "Traceback" not in checkout.output()
    assert "BrokenPipe" not in checkout.output()


def test_service_in_the_background_stays_whatever_becomes_of_its_first_answers(checkout: Checkout) -> None:
    checkout.run("scripts/serve --detach | head -1")
    assert is_well(checkout.server)
    checkout.run("scripts/stop")
    config = checkout.root / "config.properties"
    config.write_text(config.read_text().replace("max_request_size=1572864", "max_request_size=100"))
    output = checkout.run("scripts/serve --detach", code=1)
    assert "TorchServe is ready, but did not answer an image: " in output
    assert "Traceback" not in output
    assert is_well(checkout.server)


def test_taken_port_is_named(checkout: Checkout) -> None:
    address = checkout.server.addresses[0]
    with socket.socket() as squatter:
        squatter.bind(address)
        squatter.listen()
        output = checkout.run("scripts/serve --detach", code=1)
    assert f"TorchServe cannot listen on {address}: port {address.port} is taken by process" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("locale", ["C", "xx_XX.ISO-8859-1"])
def test_path_may_have_letters_that_the_locale_has_not(checkout: Checkout, locale: str) -> None:
    assert not str(checkout.root).isascii()
    checkout.variables |= {"LC_ALL": locale, "LANG": locale}
    python = f"{sys.base_prefix}/bin/python3"  # as without an activated environment, whose Python cannot start there
    checkout.run(f"{python} scripts/serve --gateway --detach")
    assert "prediction  7" in checkout.run(f"{python} scripts/predict docs/seven.json")


def test_long_folder_for_temporary_files_is_no_obstacle(checkout: Checkout) -> None:
    long = Path(checkout.temporary) / ("long-" * 20)
    long.mkdir()
    checkout.variables["TMPDIR"] = str(long)
    checkout.run("scripts/serve --gateway --detach")
    assert "prediction  7" in checkout.run("scripts/predict docs/seven.json")
    checkout.run("scripts/stop")


def test_jvm_that_ends_says_what_it_complained_of_first(checkout: Checkout) -> None:
    config = checkout.root / "config.properties"
    usual = config.read_text()
    for setting, reason in (
        ("vmargs=-XX:NoSuchOption", "Unrecognized VM option 'NoSuchOption"),
        ("vmargs=-Xms2g -Xmx1g", "Error occurred during initialization of VM Initial heap size set to a larger value"),
        ("number_of_netty_threads=many", 'Invalid configuration: For input string: "many"'),
    ):
        config.write_text(f"{usual}\n{setting}\n")
        output = checkout.run("scripts/serve --detach", code=1)
        last = output.splitlines()[-1]
        assert last.startswith("TorchServe "), output
        assert f": {reason}" in last, output


def test_worker_that_cannot_load_says_why(checkout: Checkout) -> None:
    (checkout.root / "model_store" / "mnist.onnx").write_bytes(b"no weights")
    output = checkout.run("scripts/serve --detach", code=1)
    assert "A worker could not load the model mnist: " in output
    assert "mnist.onnx is not an ONNX file" in output
    assert "Traceback" not in output
    assert checkout.server.process() is None
