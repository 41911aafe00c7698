"""The page to draw on before other models than MNIST's: their names, what they lack, and what their pictures mean."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw
from classifier.types import PIXELS, SIDE, Model
from mnist_torchserve.contract import TIMEOUT
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.gateway.demo_page import STROKES, DemoPage, OpenPage
from tests.support import standin_models
from tests.support.fixtures import MakeGateway
from tests.support.pictures import saved

NO_OTHERS = "there is no class for none of these: every picture gets one of the classes"
LACKING = ("not calibrated", NO_OTHERS)
LONG = "a shirt with long sleeves, a collar and " + "very " * 40 + "many buttons"
NAMES = ("<b>coat</b> & 'bag'", "حذاء الكاحل", LONG, "👩‍👩‍👧")
LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
MODELS = {
    "four": (Model("four", "1.0", NAMES, "plain", LACKING), 4, 1.0),
    "letters": (Model("letters", "2.0", LETTERS, "plain", (NO_OTHERS,)), 26, 1.0),
    "hundred": (Model("hundred", "1.0", (), "plain", LACKING), 100, 1.0),
    "two": (Model("two", "1.0", ("", "  "), "plain"), 2, 0.875),  # which has a class for none of these
    "my-digits": (Model("my-digits", "1.0", (), "mnist"), 10, 1.0),
}
ACROSS = [(8, 12), (92, 12)]  # a stroke in the uppermost quarter

Open = Callable[..., DemoPage]


@pytest.fixture(scope="module")
def gateways(make_gateway: MakeGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Gateway]]:
    """A gateway before a model, started when a test first asks for it."""
    started: dict[str, Gateway] = {}

    def before(name: str) -> Gateway:
        if name not in started:
            model, classes, share = MODELS[name]
            node = stack.enter_context(standin_models.node(model, classes, tmp_path_factory.mktemp(name), share))
            started[name] = stack.enter_context(make_gateway(node).running())
        return started[name]

    with ExitStack() as stack:
        yield before


@pytest.fixture
def open_model(gateways: Callable[[str], Gateway], open_page: OpenPage) -> Open:
    def open_(name: str, **options: object) -> DemoPage:
        return open_page(gateways(name).demo_url, **options)

    return open_


def posted(gateway: Gateway, content: bytes) -> list[int]:
    """The pixels that the model sees of a file."""
    headers = {"Content-Type": "image/png"}
    answer = requests.post(f"{gateway.predict_url}?details=true", content, headers=headers, timeout=TIMEOUT)
    pixels: list[int] = answer.json()["pixels"]
    return pixels


@pytest.fixture
def gateway(gateways: Callable[[str], Gateway]) -> Gateway:
    """The one that `open_page` opens unless told otherwise."""
    return gateways("four")


# What it may be


def test_every_class_has_its_name_and_what_the_model_lacks_is_said(open_model: Open) -> None:
    tab = open_model("four")
    tab.draw([ACROSS])
    tab.says(f"Read as {NAMES[0]}. The confidence is ")
    assert tab.page.get_by_label("Prediction").inner_text() == NAMES[0]
    assert tuple(tab.bars()) == NAMES, "in their order, and none for what is no class"
    assert tab.page.get_by_text("Not calibrated. There is no class for none of these: every picture").is_visible()


def test_of_many_classes_the_likeliest_have_a_bar(open_model: Open) -> None:
    tab = open_model("letters")
    tab.draw([ACROSS, [(8, 85), (60, 85)]])
    tab.says("Read as D.")
    bars = tab.bars()
    shares = [float(share.strip("<%")) for share in bars.values()]
    assert next(iter(bars)) == "D"
    assert set(bars) < {*LETTERS, "16 others"}
    assert list(bars)[-1] == "16 others"
    assert len(bars) == 11
    assert shares[:-1] == sorted(shares[:-1], reverse=True)
    assert not tab.page.get_by_text("Not calibrated").is_visible()
    assert tab.page.get_by_text("There is no class for none of these").is_visible()


def test_classes_without_names_have_numbers_and_doubt_is_not_taken_for_none(open_model: Open) -> None:
    tab = open_model("hundred")
    tab.draw([[(8, 50), (92, 50)]])
    said = tab.says("The model is not sure.")
    predicted = tab.page.get_by_label("Prediction").inner_text()
    assert 45 <= int(predicted) <= 55
    assert f"It is read as {predicted}." in said
    bars = tab.bars()
    assert next(iter(bars)) == predicted
    assert list(bars)[-1] == "90 others"
    assert all(name.isdigit() for name in list(bars)[:-1])


def test_none_of_these_has_a_bar_where_the_model_knows_it(open_model: Open) -> None:
    tab = open_model("two")
    tab.draw([ACROSS])
    tab.says("Read as 0.")
    assert tab.bars() == {"0": "87.5%", "1": "<0.1%", "none of these": "12.5%"}, "an empty name is none"
    assert not tab.page.get_by_text("About the confidence").is_visible()


@pytest.mark.parametrize("name", MODELS)
def test_nothing_on_it_is_mnists(open_model: Open, name: str) -> None:
    tab = open_model(name)
    assert tab.page.get_by_text(f"The model {name} reads it as you draw.").is_visible()
    words = tab.page.locator("body").inner_text()
    assert not any(word in words for word in ("MNIST", "digit,", "Real digits", "0 – 9"))
    assert tab.page.get_by_role("button", name="A real").count() == 0


def test_page_of_digits_says_where_they_are_from(
    open_page: OpenPage, make_gateway: MakeGateway, tmp_path: Path
) -> None:
    mnist = Model("mnist", "1.0", (), "mnist")
    with standin_models.node(mnist, 10, tmp_path) as node, make_gateway(node).running() as gateway:
        tab = open_page(gateway.demo_url)
        assert tab.page.get_by_role("button", name="A real").count() == 10
        assert tab.page.get_by_text("The real digits are MNIST’s").is_visible()
        assert not tab.page.get_by_role("button", name="Invert").is_visible()


# Names of every kind


@pytest.mark.parametrize("which", range(4))
def test_name_of_any_kind_leaves_the_words_around_it_alone(open_model: Open, which: int) -> None:
    tab = open_model("four", viewport={"width": 360, "height": 740})
    tab.draw([[(8, 12 + 25 * which), (92, 12 + 25 * which)]])
    tab.says(f"Read as {NAMES[which]}.")
    starts = tab.page.evaluate(
        """() => [...document.querySelector('#said').childNodes].map(node => {
            const range = document.createRange();
            range.selectNode(node);
            return range.getClientRects()[0].left;
        })"""
    )
    assert starts[0] < starts[1]
    assert which == 2 or starts[1] < starts[2], "the full stop comes last"
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 360
    assert all(row.bounding_box()["height"] < 60 for row in tab.page.get_by_role("listitem").all())  # type: ignore[index]  # None would fail the test too
    assert tab.page.get_by_label("Prediction").bounding_box()["height"] < 180  # type: ignore[index]  # None would fail the test too


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["four", "hundred"])
def test_axe_finds_nothing(open_model: Open, name: str, scheme: str) -> None:
    tab = open_model(name, color_scheme=scheme)
    for _ in range(2):  # on the dark sheet and on the light one
        tab.draw([ACROSS])
        tab.says("The confidence is")
        found = Axe().run(tab.page)
        assert not found.response["violations"], found.generate_report()
        tab.page.get_by_role("button", name="Invert").click()


# What is light and what is dark


def bar(ink: int, paper: int, size: tuple[int, int] = (560, 560)) -> Image.Image:
    """The stroke ACROSS, by Pillow."""
    sheet = Image.new("L", size, paper)
    points = [(x / 100 * size[0], y / 100 * size[1]) for x, y in ACROSS]
    pen = ImageDraw.Draw(sheet)
    pen.line(points, ink, 42)
    for point in points:
        pen.circle(point, 21, ink)
    return sheet


def test_drawing_is_the_whole_sheet_light_on_dark_until_inverted(open_model: Open, gateway: Gateway) -> None:
    tab = open_model("four", color_scheme="light")
    invert = tab.page.get_by_role("button", name="Invert")
    tab.draw([ACROSS])
    tab.says("Read as <b>coat")
    expected = posted(gateway, saved(bar(255, 0)))
    assert np.abs(np.subtract(tab.seen(), expected)).mean() < 1
    assert min(expected) == 0
    assert max(expected) == 255
    assert tab.sheet.evaluate("canvas => canvas.getContext('2d').getImageData(5, 5, 1, 1).data[0]") == 0
    assert tab.page.get_by_text("the whole sheet, made smaller").is_visible()
    assert invert.get_attribute("aria-pressed") == "false"
    invert.click()
    tab.says("The model is not sure.")
    assert np.abs(np.subtract(tab.seen(), 255) + np.array(expected)).mean() < 1
    assert tab.sheet.evaluate("canvas => canvas.getContext('2d').getImageData(5, 5, 1, 1).data[0]") == 255
    assert invert.get_attribute("aria-pressed") == "true"
    invert.click()
    tab.says("Read as <b>coat")


@pytest.mark.parametrize("size", [(560, 560), (560, 200), (300, 500)])
def test_picture_is_read_as_its_file_is_also_with_a_stroke_over_it(
    open_model: Open, gateway: Gateway, size: tuple[int, int]
) -> None:
    tab = open_model("four")
    content = saved(bar(255, 0, size))
    tab.drop(content)
    tab.says("Read as <b>coat")
    before = posted(gateway, content)
    assert tab.seen() == before
    tab.draw([[(50, 80), (50, 81)]])
    tab.says("Read as <b>coat")
    after = np.array(tab.seen()).reshape(SIDE, SIDE)
    assert np.abs(after[:18] - np.array(before).reshape(SIDE, SIDE)[:18]).mean() < 2, "neither moved nor scaled"
    assert after[22, 14] > 200


def test_dark_picture_on_light_is_inverted(open_model: Open, gateway: Gateway) -> None:
    tab = open_model("four")
    tab.drop(saved(bar(0, 255)))
    tab.says("The model is not sure.")
    tab.page.get_by_role("button", name="Invert").click()
    tab.says("Read as <b>coat")
    assert np.abs(np.subtract(tab.seen(), posted(gateway, saved(bar(255, 0))))).mean() < 1


def test_model_that_finds_the_ink_needs_no_inversion(open_model: Open) -> None:
    tab = open_model("my-digits")
    tab.draw(STROKES[7])
    tab.says("The confidence is")
    assert not tab.page.get_by_role("button", name="Invert").is_visible()
    assert tab.page.get_by_text("the ink alone, in the middle").is_visible()
    ink = np.array(tab.seen()).reshape(SIDE, SIDE) > 0
    assert np.ptp(np.flatnonzero(ink.any(1))) == 19, "scaled to 20 pixels"


def test_page_works_where_the_models_are_not_listed(open_model: Open) -> None:
    tab = open_model("four")
    tab.page.route("**/v1/models", lambda route: route.abort())
    tab.page.reload()
    tab.draw([ACROSS])
    tab.says("Read as <b>coat")
    assert tab.seen() != [0] * PIXELS
    tab.complaints.clear()
