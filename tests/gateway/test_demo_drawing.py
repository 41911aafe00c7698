"""Who draws on the page, with what, and how it goes back: mouse, finger and keyboard, in a real Chromium."""

from playwright.sync_api import Page, Request, Route
from mnist_torchserve.gateway.demo_page import STROKES, DemoPage, OpenPage


def test_each_digit_drawn_with_the_mouse_is_read(tab: DemoPage) -> None:
    read = {}
    for digit, strokes in STROKES.items():
        tab.draw(strokes)
        read[digit], confidence = tab.reading()
        assert confidence > 90
        tab.clear()
    assert read == {digit: digit for digit in range(10)}


def test_one_drawing_is_asked_about_at_a_time_and_the_latest_next(tab: DemoPage) -> None:
    sent: list[Request] = []
    held: list[Route] = []
    tab.page.on("request", lambda request: sent.append(request))
    tab.page.route("**/predict*", lambda route: held.append(route), times=1)
    tab.draw(STROKES[4])
    [first] = held
    assert len(sent) == 1
    first.continue_()
    assert tab.reading()[0] == 4
    assert len(sent) == 2, "the drawings in between are of no interest"


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


def test_phone_is_drawn_on_with_a_finger(open_page: OpenPage) -> None:
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
