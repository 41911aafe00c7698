"""The README and docs/by_hand.md: every command is run, in a copy of the checkout, and must print what they say."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from mnist_torchserve.project import ROOT
from mnist_torchserve.waiting import wait_until
from tests.support.checkout import Checkout
from tests.support.workers import is_well

README = ROOT / "README.md"
BY_HAND = ROOT / "docs" / "by_hand.md"

Blocks = list[tuple[str, str]]  # language and text


def blocks(text: str) -> Blocks:
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(block: str) -> list[str]:
    """A block's commands as typed; a whole suite within the suite is only collected."""
    joined = block.replace("\\\n", " ").strip().splitlines()
    return [re.sub(r"^(scripts/test|pytest tests)$", r"\1 --collect-only -q", command) for command in joined]


def run_through(page: Path, checkout: Checkout) -> None:
    """Follow a page as typed, from its first command to its last; each prints what the page says."""
    printed = ""
    for language, block in blocks(page.read_text()):
        if language == "json":
            assert rounded(json.loads(printed)) == rounded(json.loads(block))
            continue
        for command in commands(block) if language == "sh" else ():
            printed = checkout.run(checkout.on_own_ports(command.replace("curl", "curl -s")))
            if command == "scripts/serve --gateway --detach":
                assert f"Draw a digit yourself:\n  {checkout.gateway.url}/demo\n" in printed
            if command.startswith("torchserve --start"):
                wait_until(lambda: is_well(checkout.server), 60)
            elif command.startswith("torchserve --stop"):
                wait_until(lambda: not any(address.is_taken() for address in checkout.server.addresses), 60)


def test_readme_has_the_two_commands_first() -> None:
    assert blocks(README.read_text())[0] == ("sh", "scripts/serve --detach\nscripts/test\n")


def test_readme_lists_every_page() -> None:
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert set(re.findall(r"^\| \[.*\]\(docs/(\w+\.md)\)", README.read_text(), re.MULTILINE)) >= pages


def test_readme_works_as_typed(checkout: Checkout) -> None:
    run_through(README, checkout)
    assert checkout.survivors() == []


def test_service_works_by_hand(checkout: Checkout) -> None:
    run_through(BY_HAND, checkout)


def test_readme_shows_an_alert_as_it_is() -> None:
    [[shown]] = [yaml.safe_load(block) for language, block in blocks(README.read_text()) if language == "yaml"]
    groups = yaml.safe_load((ROOT / "deploy" / "monitoring" / "rules.yml").read_text())["groups"]
    [alert] = [rule for group in groups for rule in group["rules"] if rule.get("alert") == shown["alert"]]
    assert shown.items() <= alert.items()


def rounded(answer: dict[str, Any]) -> dict[str, Any]:
    """Confidence to five digits: the last one is the processor's."""
    return {key: round(value, 5) if isinstance(value, float) else value for key, value in answer.items()}
