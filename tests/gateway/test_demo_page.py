"""What the page to draw on says, to everybody: answers, refusals, keys, in both colours; in a real Chromium."""

import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from mnist_torchserve.gateway.demo_page import STROKES, DemoPage, OpenPage
from mnist_torchserve.service import TorchServe
from tests.support.fixtures import MakeGateway
from tests.support.secrets import write_secret

KEY = "demo-key-1234567890"


def shown(tab: DemoPage, words: str) -> int:
    """How often an eye finds these words."""
    boxes = [found.bounding_box() for found in tab.page.get_by_text(words).all()]
    return sum(box is not None and box["width"] > 1 for box in boxes)


# What it may be


def test_each_digit_has_a_bar_and_the_confidence_is_said_once(tab: DemoPage) -> None:
    tab.draw(STROKES[7])
    _, confidence = tab.reading()
    bars = tab.bars()
    assert list(bars) == [*map(str, range(10)), "none of these"]
    assert bars["7"] == f"{confidence}%"
    assert shown(tab, f"{confidence}%") == 1
    assert f"{confidence}%" in tab.says("Read as 7"), "a screen reader is told at once"


def test_what_is_no_digit_fills_the_last_bar(tab: DemoPage) -> None:
    tab.draw([[(20, 20), (80, 80)], [(80, 20), (20, 80)], [(50, 10), (50, 90)], [(10, 50), (90, 50)]])
    tab.says("This may be none of these.")
    shares = {name: float(share.strip("<%")) for name, share in tab.bars().items()}
    assert shares["none of these"] > 50
    assert sum(shares.values()) == pytest.approx(100, abs=1.2)


def test_archives_that_name_the_predicted_class_alone_are_shown_with_it(tab: DemoPage) -> None:
    answer = {"prediction": 2, "confidence": 0.75, "label": "ankle boot", "probabilities": [0.25, 0.0, 0.75]}
    body = json.dumps(answer | {"pixels": [128] * 784, "model": {"name": "fashion", "version": "1.0"}})
    tab.page.route("**/predict*", lambda route: route.fulfill(status=200, body=body), times=1)
    tab.page.get_by_role("button", name="A real 2").click()
    tab.says("Read as ankle boot. The confidence is 75.0%.")
    assert tab.page.get_by_label("Prediction").inner_text() == "ankle boot"
    bars = tab.bars()
    assert bars.pop("none of these") == "<0.1%"  # the page was opened before MNIST's model, which has that class
    assert bars == {"0": "25.0%", "1": "<0.1%", "ankle boot": "75.0%"}
    assert tab.seen() == [128] * 784


# Whoever reads it


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page: OpenPage, scheme: str) -> None:
    """Contrast, names, roles: axe-core's rules, among them those of WCAG AA; on all that the page can show."""
    tab = open_page(color_scheme=scheme)

    def check() -> None:
        found = Axe().run(tab.page)
        assert not found.response["violations"], found.generate_report()

    check()
    tab.draw(STROKES[3])
    tab.reading()
    check()
    tab.clear()
    tab.draw([[(10, 10), (90, 90)], [(90, 10), (10, 90)], [(50, 10), (50, 90)]])
    tab.says("This may be none of these.")
    check()
    tab.page.route("**/predict*", lambda route: route.fulfill(status=401, body="{}"), times=1)
    tab.page.get_by_role("button", name="A real 2").click()
    tab.says("This service asks for an API key.")
    check()
    tab.page.set_viewport_size({"width": 360, "height": 740})
    check()


def luminance(colour: str) -> float:
    """Relative, as WCAG defines it, of a colour as `getComputedStyle` writes it."""
    levels = [int(level) / 255 for level in re.findall(r"\d+", colour)[:3]]
    linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_axe_does_not_judge_has_contrast(open_page: OpenPage, scheme: str) -> None:
    """Words over the canvas, and a sign alone."""
    page = open_page(color_scheme=scheme).page
    for words, ground in [("#invitation", "#sheet"), ("#prediction", "html")]:
        colour = page.locator(words).evaluate("element => getComputedStyle(element).color")
        behind = page.locator(ground).evaluate("element => getComputedStyle(element).backgroundColor")
        dark, light = sorted(map(luminance, (colour, behind)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, words


def test_colours_follow_the_system(open_page: OpenPage) -> None:
    tab = open_page(color_scheme="light")

    def ground() -> int:
        red = re.match(r"rgb\((\d+)", tab.page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        assert red is not None
        return int(red[1])

    def ink() -> int:
        levels = tab.sheet.evaluate("canvas => [...canvas.getContext('2d').getImageData(280, 280, 1, 1).data]")
        assert levels[3] == 255
        return int(levels[0])

    tab.draw([[(50, 20), (50, 80)]])
    tab.reading()
    assert ground() - ink() > 128
    before = tab.seen()
    tab.page.emulate_media(color_scheme="dark")
    assert ink() - ground() > 128
    tab.draw([[(50, 50), (50, 60)]])
    tab.reading()
    assert tab.seen() == before


# What can go wrong


def test_service_that_is_gone_is_said_and_asked_again(
    open_page: OpenPage, make_gateway: MakeGateway, node: TorchServe
) -> None:
    gateway = make_gateway(node)
    with gateway.running():
        tab = open_page(gateway.demo_url)
        tab.draw(STROKES[2])
        assert tab.reading()[0] == 2
        tab.clear()
    tab.draw(STROKES[3])
    tab.says("The service does not answer; it is asked again every two seconds.")
    with gateway.running():
        assert tab.reading()[0] == 3


@pytest.mark.parametrize(
    ("status", "body", "sentence", "again"),
    [
        (429, "{}", "The service has too many requests just now; this one is sent again in a moment.", True),
        (503, "{}", "The service has no model ready just now; it is asked again every two seconds.", True),
        (422, '{"message": "Too odd."}', "The service refused the drawing: Too odd.", False),
        (413, "<p>", "The service refused the drawing: status 413.", False),
        (200, '{"prediction": "7"}', "The service answered, but not with a prediction.", False),
    ],
)
def test_refusal_is_one_sentence(tab: DemoPage, status: int, body: str, sentence: str, again: bool) -> None:
    tab.page.route("**/predict*", lambda route: route.fulfill(status=status, body=body), times=1)
    tab.page.get_by_role("button", name="A real 2").click()
    tab.says(sentence)
    if not again:
        tab.page.get_by_role("button", name="A real 2").click()
    assert tab.reading()[0] == 2


def test_key_is_asked_for_and_kept_in_memory_alone(
    open_page: OpenPage, make_gateway: MakeGateway, node: TorchServe, tmp_path: Path
) -> None:
    write_secret(tmp_path / "keys", f"{KEY}\n")
    with make_gateway(node, keys=str(tmp_path / "keys")).running() as gateway:
        tab = open_page(gateway.demo_url)
        field = tab.page.get_by_label("API key")
        assert not field.is_visible()
        tab.draw(STROKES[9])
        tab.says("This service asks for an API key.")
        field.fill("ключ")  # no header can carry it
        tab.page.keyboard.press("Enter")
        tab.says("That API key is not valid here.")
        field.fill("guess")
        with tab.page.expect_response(lambda answer: answer.status == 401):
            tab.page.keyboard.press("Enter")
        tab.says("That API key is not valid here.")
        field.fill(KEY)
        tab.page.get_by_role("button", name="Use it").click()
        assert tab.reading()[0] == 9
        assert not field.is_visible()
        assert tab.page.context.storage_state() == {"cookies": [], "origins": []}
        tab.page.reload()
        tab.page.get_by_role("button", name="A real 0").click()
        tab.says("This service asks for an API key.")


def test_policy_keeps_other_origins_out(tab: DemoPage) -> None:
    """That the other tests hear of no breach means something: this one is heard of."""
    with tab.page.expect_console_message(lambda message: "violation of" in message.text):
        tab.page.evaluate("new Image().src = 'https://example.org/pixel.png'")
    assert "violation of img-src" in "\n".join(tab.complaints)
    tab.complaints.clear()
