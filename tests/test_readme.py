"""The README: every command in it is run, in a copy of the checkout, and must print what the README says."""

import json
import re
from typing import Any

import yaml
from mnist_torchserve.project import ROOT
from mnist_torchserve.waiting import wait_until
from tests.support.checkout import Checkout
from tests.support.workers import is_well

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def commands(block: str) -> list[str]:
    """A block's commands as typed; a whole suite within the suite is only collected."""
    joined = block.replace("\\\n", " ").strip().splitlines()
    return [re.sub(r"^(scripts/test|pytest tests)$", r"\1 --collect-only -q", command) for command in joined]


def test_readme_has_the_two_commands_first() -> None:
    assert commands(BLOCKS[0][1])[0] == "scripts/serve --detach"
    assert BLOCKS[0][1].splitlines()[1] == "scripts/test"


def test_readme_commands_work_and_print_what_it_says(checkout: Checkout) -> None:
    printed = ""
    for language, block in BLOCKS:
        if language == "json":
            assert rounded(json.loads(printed)) == rounded(json.loads(block))
            continue
        for command in commands(block) if language == "sh" else ():
            if command.startswith("torchserve --start"):
                checkout.run("scripts/stop")
            elif command.startswith("API_BASE_URL"):
                face = "--gateway" if "API_ROUTES=gateway" in command else ""
                checkout.run(f"scripts/stop && scripts/serve --detach {face}")
            printed = checkout.run(checkout.on_own_ports(command.replace("curl", "curl -s")))
            if command == "scripts/serve --gateway --detach":
                assert f"Draw a digit yourself:\n  {checkout.gateway.url}/demo\n" in printed
            if command.startswith("torchserve --start"):
                wait_until(lambda: is_well(checkout.server), 60)
            elif command.startswith("torchserve --stop"):
                wait_until(lambda: not any(address.is_taken() for address in checkout.server.addresses), 60)


def test_readme_shows_an_alert_as_it_is() -> None:
    [[shown]] = [yaml.safe_load(block) for language, block in BLOCKS if language == "yaml"]
    groups = yaml.safe_load((ROOT / "deploy" / "monitoring" / "rules.yml").read_text())["groups"]
    [alert] = [rule for group in groups for rule in group["rules"] if rule.get("alert") == shown["alert"]]
    assert shown.items() <= alert.items()


def rounded(answer: dict[str, Any]) -> dict[str, Any]:
    """Confidence to five digits: the last one is the processor's."""
    return {key: round(value, 5) if isinstance(value, float) else value for key, value in answer.items()}
