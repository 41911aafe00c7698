"""The page to draw on, in a real Chromium before the real gateway and TorchServe."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Request, Route
from classifier.types import PIXELS, SIDE
from mnist_torchserve.client import digits
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.gateway.demo_page import STROKES, DemoPage, chromium
from mnist_torchserve.service import TorchServe
from tests.support import programs
from tests.support.fixtures import MakeGateway
from tests.support.pictures import picture, saved
from tests.support.secrets import write_secret

KEY = "demo-key-1234567890"

Open = Callable[..., DemoPage]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    programs.installed("chromium")
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser, gateway: Gateway) -> Iterator[Open]:
    """Open the page in a tab of its own. It shall reach for no other origin, keep its policy, and break nowhere."""
    opened = []

    def open_(url: str | None = gateway.demo_url, **options: Any) -> DemoPage:
        opened.append(browser.new_context(**options))
        pages.append(DemoPage(opened[-1], str(url)))
        return pages[-1]

    pages: list[DemoPage] = []
    yield open_
    for context in opened:
        context.close()
    assert [page.complaints for page in pages] == [[] for _ in pages]


@pytest.fixture
def tab(open_page: Open) -> DemoPage:
    """The page as it opens for everybody."""
    return open_page()


# What is drawn


def test_each_digit_drawn_with_the_mouse_is_read(tab: DemoPage) -> None:
    read = {}
    for digit, strokes in STROKES.items():
        tab.draw(strokes)
        read[digit], confidence = tab.reading()
        assert confidence > 90
        tab.clear()
    assert read == {digit: digit for digit in range(10)}


def test_picture_of_what_the_model_saw_is_what_was_sent(tab: DemoPage) -> None:
    sent: list[Request] = []
    held: list[Route] = []
    tab.page.on("request", lambda request: sent.append(request))
    tab.page.route("**/predict", lambda route: held.append(route), times=1)
    tab.draw(STROKES[4])
    [first] = held
    assert len(sent) == 1, "one at a time, however much is drawn meanwhile"
    first.continue_()
    assert tab.reading()[0] == 4
    assert len(sent) == 2, "the drawings in between are of no interest"
    assert json.loads(sent[1].post_data or "") == {"data": [level / 255 for level in tab.seen()]}
    assert sent[0].post_data != sent[1].post_data


def test_real_digits_stay_as_they_are(tab: DemoPage) -> None:
    """MNIST's own digits went through the same steps, so the page's must leave them alone."""
    pixels, labels = digits.sample()
    for digit in range(10):
        tab.page.get_by_role("button", name=f"A real {digit}").click()
        tab.says(f"Read as {digit}")
        real = pixels[labels == digit][0].astype(int)
        assert np.abs(np.array(tab.seen()) - real).mean() < 1


@pytest.mark.parametrize("paper", ["black", "white", "transparent"])
def test_dropped_picture_is_cropped_scaled_centred_and_turned_light_on_dark(tab: DemoPage, paper: str) -> None:
    """A real digit enlarged tenfold, in a corner of a page: undone to the pixel."""
    pixels, labels = digits.sample()
    for real, label in zip(pixels[:2], labels[:2], strict=True):  # 7 and 2
        page = np.zeros((420, 560), np.uint8)
        page[100:380, 10:290] = real.reshape(SIDE, SIDE).repeat(10, 0).repeat(10, 1)
        if paper == "white":
            page = 255 - page
        elif paper == "transparent":
            page = np.stack([np.full_like(page, 255 * (label % 2)), page], axis=2)  # black ink, or white
        tab.drop(saved(page))
        tab.says(f"Read as {label}")
        assert np.abs(np.array(tab.seen()) - real).mean() < 1


def test_chosen_photograph_is_read(tab: DemoPage, tmp_path: Path) -> None:
    """Pencil in a corner of grainy paper, lit from one side, as a JPEG."""
    ink = np.zeros((560, 560))
    seven = picture(digits.sample()[0][0])
    ink[40:264, 260:484] = np.asarray(seven.resize((224, 224), Image.Resampling.BICUBIC)) / 255
    light = np.linspace(120, 220, 560) + np.random.default_rng(0).normal(0, 8, (560, 560))
    (tmp_path / "photo.jpg").write_bytes(saved(light * (1 - 0.6 * ink), "JPEG"))
    tab.page.get_by_label("Choose a picture").set_input_files(tmp_path / "photo.jpg")
    assert tab.reading()[0] == 7


def test_blank_gives_low_confidence(tab: DemoPage) -> None:
    asked = []
    tab.page.on("request", lambda request: asked.append(request))
    assert tab.page.get_by_role("button", name="Clear").is_disabled()
    tab.says("Nothing is drawn yet.")
    tab.drop(saved(np.full((90, 90), 200)))
    assert tab.reading()[1] < 20
    assert tab.says("This may be no digit").endswith("%.")
    assert tab.seen() == [0] * PIXELS
    assert len(asked) == 1, "an empty sheet is no question"


def test_undo_goes_back_through_all_that_was_done(tab: DemoPage) -> None:
    undo = tab.page.get_by_role("button", name="Undo")
    tab.draw(STROKES[1])
    assert tab.reading()[0] == 1
    tab.page.get_by_role("button", name="A real 5").click()
    tab.says("Read as 5")
    tab.clear()
    undo.click()
    tab.says("Read as 5")
    undo.click()
    tab.says("Read as 1")
    tab.page.keyboard.press("Control+z")
    tab.says("Nothing is drawn yet.")
    assert undo.is_disabled()
    tab.page.mouse.move(*tab.on_screen([(50, 20)])[0])
    tab.page.mouse.down()
    tab.page.keyboard.press("Control+z")
    tab.page.mouse.move(*tab.on_screen([(50, 80)])[0])
    tab.says("Nothing is drawn yet.")
    assert undo.is_disabled()


# What can go wrong


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(b"seven", "text/plain"), (b"\x89PNG\r\n\x1a\n and no more", "image/png")],
    ids=["another format", "broken"],
)
def test_file_that_is_no_picture_is_refused_and_the_drawing_stays(
    tab: DemoPage, content: bytes, media_type: str
) -> None:
    tab.draw(STROKES[3])
    tab.reading()
    tab.drop(content, media_type, "notes")
    tab.says("notes is not a picture that can be read: choose a PNG or JPEG.")
    tab.draw([[(10, 10), (10, 11)]])
    tab.page.get_by_role("button", name="Undo").click()
    assert tab.reading()[0] == 3


def test_service_that_is_gone_is_said_and_asked_again(
    open_page: Open, make_gateway: MakeGateway, node: TorchServe
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
    tab.page.route("**/predict", lambda route: route.fulfill(status=status, body=body), times=1)
    tab.page.get_by_role("button", name="A real 2").click()
    tab.says(sentence)
    if not again:
        tab.page.get_by_role("button", name="A real 2").click()
    assert tab.reading()[0] == 2


def test_key_is_asked_for_and_kept_in_memory_alone(
    open_page: Open, make_gateway: MakeGateway, node: TorchServe, tmp_path: Path
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


# Who draws, and on what


def focused(page: Page) -> tuple[str, bool]:
    """What has the focus, and whether one sees it: a file's field shows it on its label."""
    name, outline = page.evaluate(
        """() => {
            const focused = document.activeElement;
            const shown = focused.type === 'file' ? focused.nextElementSibling : focused;
            return [focused.ariaLabel || shown.textContent, getComputedStyle(shown).outlineStyle];
        }"""
    )
    return name, outline != "none"


def test_everything_is_done_by_keyboard(tab: DemoPage) -> None:
    press = tab.page.keyboard.press

    def draw(*keys: str) -> None:
        for key in keys:
            press(key)

    press("Tab")
    assert focused(tab.page) == ("Sheet to draw on", True)
    draw(*["ArrowLeft"] * 6, "Space", *["ArrowRight"] * 12, *["End", "ArrowDown"] * 6, "ArrowDown")
    tab.says("Drawing …")
    press("Space")
    assert tab.reading()[0] == 7
    draw("ArrowUp", "ArrowUp")
    assert tab.reading()[0] == 7, "a lifted pen leaves no trace"
    reached = []
    for _ in range(13):
        press("Tab")
        reached.append(focused(tab.page))
    names = ["Undo", "Clear", "Choose a picture", *(f"A real {digit}" for digit in range(10))]
    assert reached == [(name, True) for name in names]
    press("Enter")
    tab.says("Read as 9")


def test_phone_is_drawn_on_with_a_finger(open_page: Open) -> None:
    tab = open_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    touch = tab.page.context.new_cdp_session(tab.page)
    for stroke in STROKES[5]:
        points = [{"x": x, "y": y} for x, y in tab.on_screen(stroke)]
        for kind, at in [
            ("touchStart", points[:1]),
            *(("touchMove", [point]) for point in points[1:]),
            ("touchEnd", []),
        ]:
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
    assert tab.reading()[0] == 5
    assert tab.page.evaluate("[scrollX, scrollY, document.documentElement.scrollWidth]") == [0, 0, 360]


def test_colours_follow_the_system(open_page: Open) -> None:
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
