"""Pictures on the page to draw on: read as the same files are read without it, drawn over, and never too large."""

import base64
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import requests
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from classifier.types import MAX_BODY, PIXELS, SIDE
from mnist_torchserve.client import digits
from mnist_torchserve.contract import TIMEOUT
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.gateway.demo_page import STROKES, DemoPage, Point
from tests.support.pictures import picture, saved

Change = Callable[[Sequence[Sequence[Point]]], Sequence[Sequence[Point]]]

SHEET = 560  # pixels, of each side
PEN = 42  # pixels, of that


class Sent(NamedTuple):
    """What the page has sent."""

    media_type: str
    content: bytes


@pytest.fixture
def sent(tab: DemoPage) -> Callable[[], list[Sent]]:
    """All that the page has sent. Playwright itself does not tell large bodies."""
    tab.page.evaluate(
        """() => {
            const post = fetch;
            window.sent = [];
            window.fetch = (path, options) => sent.push(options.body) && post(path, options);
        }"""
    )

    def all_of_it() -> list[Sent]:
        found = tab.page.evaluate(
            "Promise.all(sent.map(async blob => [blob.type, [...new Uint8Array(await blob.arrayBuffer())]]))"
        )
        return [Sent(media_type, bytes(content)) for media_type, content in found]

    return all_of_it


def posted(gateway: Gateway, content: bytes, media_type: str = "image/png") -> dict[str, Any]:
    """What the service says of a file, in detail."""
    url, headers = f"{gateway.predict_url}?details=true", {"Content-Type": media_type}
    answer: dict[str, Any] = requests.post(url, content, headers=headers, timeout=TIMEOUT).json()
    return answer


def photograph(side: int, noise: float) -> NDArray[np.float64]:
    """A 7 in pencil, in a corner of a sheet that is lit from one side."""
    ink = np.zeros((side, side))
    size = 2 * side // 5
    ink[side // 14 : side // 14 + size, side // 2 - 20 : side // 2 - 20 + size] = (
        np.asarray(picture(digits.sample()[0][0]).resize((size, size), Image.Resampling.BICUBIC)) / 255
    )
    grain = np.random.default_rng(0).normal(0, noise, ink.shape)
    return (np.linspace(120, 220, side) + grain) * (1 - 0.6 * ink)


def drawn(strokes: Sequence[Sequence[Point]]) -> bytes:
    """Strokes of the page's pen on a white sheet, by Pillow."""
    sheet = Image.new("L", (SHEET, SHEET), 255)
    pen = ImageDraw.Draw(sheet)
    for stroke in strokes:
        points = [(x / 100 * SHEET, y / 100 * SHEET) for x, y in stroke]
        pen.line(points, 0, PEN)
        for point in points:
            pen.circle(point, PEN / 2, 0)
    return saved(sheet)


def small(strokes: Sequence[Sequence[Point]]) -> list[list[Point]]:
    """The same in a quarter of the height, which such a pen hardly writes."""
    return [[(40 + x / 4, 10 + y / 4) for x, y in stroke] for stroke in strokes]


# The file itself


def test_real_digits_stay_as_they_are(tab: DemoPage) -> None:
    pixels, labels = digits.sample()
    for digit in range(10):
        tab.page.get_by_role("button", name=f"A real {digit}").click()
        tab.says(f"Read as {digit}")
        assert tab.seen() == pixels[labels == digit][0].tolist()


@pytest.mark.parametrize("paper", ["black", "white", "transparent"])
def test_dropped_picture_is_read_as_its_file_is(tab: DemoPage, gateway: Gateway, paper: str) -> None:
    """A real digit enlarged tenfold, in a corner of a page."""
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
        assert tab.seen() == posted(gateway, saved(page))["pixels"]


def test_photograph_is_read_as_its_file_is(tab: DemoPage, gateway: Gateway) -> None:
    """Light that falls off to half of itself, without noise: a PNG, which the page sends with the same pixels."""
    content = saved(photograph(400, 0))
    tab.drop(content)
    answer = posted(gateway, content)
    assert tab.reading() == (7, math.floor(1000 * answer["confidence"]) / 10)
    assert tab.seen() == answer["pixels"]


def test_grainy_photograph_is_read_as_its_file_is(tab: DemoPage, gateway: Gateway) -> None:
    """Its pixels are no small PNG, so the page sends another JPEG."""
    content = saved(photograph(400, 8), "JPEG")
    tab.drop(content, "image/jpeg")
    answer = posted(gateway, content, "image/jpeg")
    prediction, confidence = tab.reading()
    assert prediction == answer["prediction"] == 7
    assert confidence == pytest.approx(100 * answer["confidence"], abs=1)


@pytest.mark.parametrize("change", [list, small], ids=["large", "small"])
def test_drawing_is_read_as_a_file_of_it_is(tab: DemoPage, gateway: Gateway, change: Change) -> None:
    """A picture of the sheet, as one sees it, and the same strokes drawn by Pillow."""
    for digit in (1, 4, 7):
        strokes = change(STROKES[digit])
        tab.draw(strokes)
        prediction, _ = tab.reading()
        content = tab.sheet.evaluate("canvas => canvas.toDataURL()").partition(",")[2]
        answer = posted(gateway, base64.b64decode(content))
        assert np.abs(np.subtract(tab.seen(), answer["pixels"])).mean() < 4  # its ink is not quite black
        assert prediction == answer["prediction"] == posted(gateway, drawn(strokes))["prediction"]
        tab.clear()


@pytest.mark.parametrize("tone", [0, 200, 255])
def test_blank_gives_low_confidence(tab: DemoPage, gateway: Gateway, sent: Callable[[], list[Sent]], tone: int) -> None:
    assert tab.page.get_by_role("button", name="Clear").is_disabled()
    tab.says("Nothing is drawn yet.")
    content = saved(np.full((90, 90), tone))
    tab.drop(content)
    answer = posted(gateway, content)
    prediction, confidence = tab.reading()
    assert prediction == answer["prediction"]
    assert confidence == pytest.approx(100 * answer["confidence"], abs=0.1)
    assert answer["confidence"] < 0.2
    assert tab.says("This may be none of these.").endswith("%.")
    assert tab.seen() == [0] * PIXELS
    assert len(sent()) == 1, "an empty sheet is no question"


# Larger than the service takes


def test_photograph_of_a_phone_is_chosen_and_read(
    tab: DemoPage, sent: Callable[[], list[Sent]], tmp_path: Path
) -> None:
    """12 megapixels, upright by EXIF alone."""
    photo = Image.fromarray(photograph(600, 8).clip(0, 255).astype(np.uint8)).resize((3000, 4000))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90° to the right
    photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "photo.jpg", quality=95, exif=exif)
    assert (tmp_path / "photo.jpg").stat().st_size > 1_000_000
    tab.page.get_by_label("Choose a picture").set_input_files(tmp_path / "photo.jpg")
    assert tab.reading()[0] == 7
    with Image.open(io.BytesIO(sent()[-1].content)) as seen:
        assert seen.size == (420, 560)


@pytest.mark.parametrize("shape", [(560, 560, 4), (900, 1200, 3)])
def test_nothing_is_too_large_to_be_sent(tab: DemoPage, sent: Callable[[], list[Sent]], shape: tuple[int, ...]) -> None:
    """Noise, which no format makes small."""
    tab.drop(saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))))
    tab.reading()
    tab.draw([[(50, 20), (50, 80)]])
    tab.reading()
    assert {file.media_type for file in sent()} == {"image/jpeg"}
    assert 20_000 < max(len(file.content) for file in sent()) < MAX_BODY


# What is drawn over it


@pytest.mark.parametrize(("paper", "ink"), [(245, 20), (10, 240)], ids=["dark on light", "light on dark"])
@pytest.mark.parametrize("shape", [(560, 560), (240, 560)], ids=["square", "wide"])
def test_stroke_completes_a_picture(tab: DemoPage, paper: int, ink: int, shape: tuple[int, int]) -> None:
    """The bar of a 7 is the picture's, its stem is drawn, also where the picture ends."""
    bar = Image.new("L", shape[::-1], paper)
    ImageDraw.Draw(bar).line([(160, 100), (400, 100)], ink, PEN)
    tab.drop(saved(bar))
    before = tab.reading()
    top = 100 * (100 + (SHEET - shape[0]) / 2) / SHEET
    tab.draw([[(70, top), (58, top + 25), (48, top + 48)]])
    assert tab.reading()[0] == 7
    tab.page.get_by_role("button", name="Undo").click()
    tab.says(f"ead as {before[0]}.")
    assert tab.reading() == before


@pytest.mark.parametrize("tone", [0, 255], ids=["black", "white"])
def test_ink_without_paper_is_seen_and_drawn_over(tab: DemoPage, tone: int) -> None:
    bar = Image.new("LA", (SHEET, SHEET), (tone, 0))
    ImageDraw.Draw(bar).line([(160, 100), (400, 100)], (tone, 255), PEN)
    tab.drop(saved(bar))
    tab.draw([[(70, 18), (58, 43), (48, 66)]])
    assert tab.reading()[0] == 7
    levels = tab.sheet.evaluate("""canvas => [[280, 100], [325, 240], [20, 20]].map(
        ([x, y]) => canvas.getContext('2d').getImageData(x, y, 1, 1).data[0])""")
    assert levels == [tone, tone, 255 - tone]


def test_other_pictures_stay_as_they_are_drawn_over(tab: DemoPage) -> None:
    """A sheet cut out of what was around it: its paper says how to write on it."""
    sheet = Image.new("LA", (SHEET, SHEET), (0, 0))
    ImageDraw.Draw(sheet).rectangle((60, 60, 500, 500), (230, 255))
    tab.drop(saved(sheet))
    tab.draw([[(50, 30), (50, 70)]])
    assert tab.reading()[0] == 1


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
    tab.says("notes is not a picture that can be read: choose a PNG, JPEG or WebP.")
    tab.draw([[(10, 10), (10, 11)]])
    tab.page.get_by_role("button", name="Undo").click()
    assert tab.reading()[0] == 3
