"""Draw a digit on the page of the running gateway, and save screenshots for the README, light and dark.

Start `scripts/serve --gateway` first. It needs Chromium. The files are docs/demo/light.png and docs/demo/dark.png.
Exit code 0: both are written; 1: they could not be taken, and the message says why.
"""

import io
import sys

from PIL import Image
from playwright.sync_api import Error
from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.gateway.demo_page import STROKES, DemoPage, chromium
from mnist_torchserve.project import ROOT
from . import command_line

DIGIT = 3
WIDTH, HEIGHT = 1000, 750  # CSS pixels; includes the real digits
SCALE = 1.5  # pixels per CSS pixel; more would be visible on few screens, in larger files
COLOURS = 64  # reduces the files to a third of their size
FOLDER = ROOT / "docs" / "demo"


def main() -> None:
    command_line("screenshots", __doc__).parse_args()
    try:
        url = Gateway().demo_url
        if url is None:
            sys.exit("The page is not served: see `demo` in deploy/gateway/settings.toml.")
        take(url)
    except ServiceError as error:
        sys.exit(str(error))
    except Error as error:
        reason = error.message.splitlines()[0]
        sys.exit(f"Chromium could not open the page of the gateway ({reason}). Start scripts/serve --gateway first.")
    print(f"The screenshots are in {FOLDER}.")


def take(url: str) -> None:
    """Take a screenshot of the page with a digit drawn, in both colour schemes."""
    with chromium() as browser:
        for scheme in ("light", "dark"):
            context = browser.new_context(
                color_scheme=scheme, device_scale_factor=SCALE, viewport={"width": WIDTH, "height": HEIGHT}
            )
            tab = DemoPage(context, url)
            tab.draw(STROKES[DIGIT])
            tab.reading()
            shot = Image.open(io.BytesIO(tab.page.screenshot()))
            shot.quantize(COLOURS, dither=Image.Dither.NONE).save(FOLDER / f"{scheme}.png", optimize=True)
