"""The page to draw on as a person uses it, in a real Chromium: strokes by hand, pictures, what the page says."""

import base64
import math
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Request, sync_playwright

Point = tuple[float, float]  # from the left and from the top, in hundredths of the sheet


def arc(x: float, y: float, width: float, height: float, start: float, end: float) -> list[Point]:
    """A piece of an ellipse around (x, y), from one angle to another: 0 is right, 90 below."""
    angles = [math.radians(start + (end - start) * step / 12) for step in range(13)]
    return [(x + width / 2 * math.cos(angle), y + height / 2 * math.sin(angle)) for angle in angles]


def line(*corners: Point) -> list[Point]:
    """Straight from corner to corner, in steps."""
    points = []
    for (x, y), (to_x, to_y) in pairwise(corners):
        points += [(x + (to_x - x) * step / 4, y + (to_y - y) * step / 4) for step in range(4)]
    return [*points, corners[-1]]


# The ten digits as one learns to write them, stroke by stroke.
STROKES: dict[int, list[list[Point]]] = {
    0: [arc(50, 50, 40, 62, -70, 290)],
    1: [line((42, 30), (53, 18), (51, 82))],
    2: [arc(49, 34, 36, 32, -170, 40) + line((32, 80), (72, 79))],
    3: [arc(47, 34, 32, 30, -150, 95) + arc(47, 65, 38, 32, -85, 150)],
    4: [line((45, 18), (28, 56), (72, 55)), line((62, 30), (59, 84))],
    5: [line((40, 20), (37, 46)) + arc(47, 63, 40, 36, -110, 150), line((40, 20), (70, 19))],
    6: [[(62, 17), (44, 34), (35, 58), *arc(50, 65, 32, 34, -190, 170)]],
    7: [line((29, 22), (70, 21), (46, 83))],
    8: [arc(50, 34, 30, 30, -40, -270) + arc(50, 66, 36, 34, -90, 270) + arc(50, 34, 30, 30, 90, -40)],
    9: [arc(50, 36, 34, 34, -20, -360) + line((66, 30), (62, 58), (55, 84))],
}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        # A container's superuser has no sandbox to give; the pages are our own.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


class DemoPage:
    """The page, open in a tab.

    Args:
        context: a browser's context.
        url: the page's address.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.complaints: list[str] = []
        """Breaches of the page's policy, requests to elsewhere, errors of its scripts."""
        self.page = context.new_page()
        self._origin = url.removesuffix("demo")
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('violation of', e.violatedDirective))"
        )
        self.page.on("console", self._note_message)
        self.page.on("request", self._note_request)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)
        self.sheet = self.page.get_by_role("application", name="Sheet to draw on")
        self.page.locator("body[aria-busy=false]").wait_for()  # it has found out which model answers

    def on_screen(self, stroke: Sequence[Point]) -> list[Point]:
        """Points of the sheet in the tab's pixels."""
        box = self.sheet.bounding_box()
        if box is None:
            raise Error("The sheet to draw on is not shown")
        return [(box["x"] + x / 100 * box["width"], box["y"] + y / 100 * box["height"]) for x, y in stroke]

    def draw(self, strokes: Sequence[Sequence[Point]]) -> None:
        """Draw with the mouse."""
        mouse = self.page.mouse
        for first, *others in map(self.on_screen, strokes):
            mouse.move(*first)
            mouse.down()
            for point in others:
                mouse.move(*point)
            mouse.up()

    def clear(self) -> None:
        """Start with an empty sheet."""
        self.page.get_by_role("button", name="Clear").click()
        self.says("Nothing is drawn yet.")

    def drop(self, content: bytes, media_type: str = "image/png", name: str = "picture") -> None:
        """Drop a file onto the page."""
        dropped = self.page.evaluate_handle(
            """([content, name, type]) => {
                const transfer = new DataTransfer();
                const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0));
                transfer.items.add(new File([bytes], name, { type }));
                return transfer;
            }""",
            [base64.b64encode(content).decode(), name, media_type],
        )
        self.sheet.dispatch_event("drop", {"dataTransfer": dropped})

    def says(self, words: str | re.Pattern[str]) -> str:
        """Wait until the page's sentence has these words, and return all of it."""
        sentence = self.page.get_by_role("status").filter(has_text=words)
        sentence.wait_for()
        return (sentence.text_content() or "").strip()

    def reading(self) -> tuple[int, float]:
        """Wait until the drawing is read: the prediction, and the confidence in percent."""
        sentence = self.says(re.compile("ead as .*%"))
        found = re.search(r"ead as (\d)\. The confidence is <?([\d.]+)%", sentence)
        if found is None or self.page.get_by_label("Prediction").inner_text() != found[1]:
            raise Error(f"The page says something else than its sentence: {sentence}")
        return int(found[1]), float(found[2])

    def bars(self) -> dict[str, str]:
        """What it may be, and how likely each is: names and percentages, as one reads them."""
        rows = self.page.get_by_role("list", name="What it may be").get_by_role("listitem").all()
        return dict(row.inner_text().rsplit(maxsplit=1) for row in rows)

    def seen(self) -> list[int]:
        """The 784 grey levels of the picture of what the model saw."""
        levels: list[int] = self.page.get_by_role("img", name="What the model saw").evaluate(
            "canvas => [...canvas.getContext('2d').getImageData(0, 0, 28, 28).data]"
        )
        return levels[::4]

    def _note_message(self, message: ConsoleMessage) -> None:
        # An answer that is no 200 is an error to the console, and not to us.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith(self._origin):
            self.complaints.append(f"request to {request.url}")


OpenPage = Callable[..., DemoPage]  # in a tab of its own, with options of its context
