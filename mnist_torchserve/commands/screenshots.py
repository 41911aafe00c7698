"""Draw a digit on the page of the running gateway, and keep how that looks, light and dark: the README's pictures.

Start `scripts/serve --gateway` first. It wants Chromium; the pictures are docs/demo/light.png and docs/demo/dark.png.
Exit code 0: they are there; 1: they could not be taken, and the message says why.
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
WIDTH, HEIGHT = 1000, 750  # CSS pixels, down to the real digits
SCALE = 1.5  # pixels for each of CSS; more is seen on few screens, and larger
COLOURS = 64  # in the file, which is a third of its size by that
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
        sys.exit(f"Expected Chromium, and the page of a running gateway ({reason}): start scripts/serve --gateway.")
    print(f"The pictures are in {FOLDER}.")


def take(url: str) -> None:
    """Picture the page with a digit drawn, in both colour schemes."""
    with chromium() as browser:
        for scheme in ("light", "dark"):
            context = browser.new_context(
                color_scheme=scheme,
                device_scale_factor=SCALE,
                reduced_motion="reduce",  # or the bar is on its way
                viewport={"width": WIDTH, "height": HEIGHT},
            )
            tab = DemoPage(context, url)
            tab.draw(STROKES[DIGIT])
            tab.reading()
            shot = Image.open(io.BytesIO(tab.page.screenshot()))
            shot.quantize(COLOURS, dither=Image.Dither.NONE).save(FOLDER / f"{scheme}.png", optimize=True)
