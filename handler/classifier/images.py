"""A PNG or JPEG -> (784,) float32 in 0..1, made as MNIST was made. Knows no TorchServe.

bytes ── open_image ──> picture ── grey ──> grey levels ── ink ──> ink on black ── fit ──> 20×20 ── centre ──> 28×28

MNIST's digits were "size normalized to fit in a 20x20 pixel box while preserving their aspect ratio", with "grey levels
as a result of the anti-aliasing technique used by the normalization algorithm", and "centered in a 28x28 image by
computing the center of mass of the pixels, and translating the image so as to position this point at the center"
(LeCun, Cortes, Burges: http://yann.lecun.com/exdb/mnist; LeCun et al., Gradient-Based Learning Applied to Document
Recognition, Proceedings of the IEEE 86(11), 1998, section III.A).
"""

import io
import re
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from .types import SIDE, Body, Refusal

MEDIA_TYPES = ("image/png", "image/jpeg", "image/jpg")  # the last is no official name, and often used
BOX = 20  # pixels, the longer side of a digit
MAX_PIXELS = 1 << 19  # 800 × 600 and some: a worker decodes them in 5 to 7 ms
MAX_SIDE = 4096  # pixels; each row costs by itself, so that a picture of one column would take 50 ms
# What else a file may hold, by its marker, so that none takes longer than a photograph. A few bytes of each can take a
# millisecond: a scan of a progressive JPEG, of which 10 are usual, is a pass over all pixels; compressed text of a PNG
# unpacks to a megabyte; and each segment of a JPEG, each piece of text costs by itself.
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_MOST = {
    _PNG: {re.compile(b"iCCP"): 1, re.compile(b"[zi]TXt"): 2, re.compile(b"tEXt"): 64},
    _JPEG: {re.compile(b"\xff\xda"): 16, re.compile(b"\xff[\xc4\xdb-\xfe]"): 128},
}

_CENTRE = 14  # the pixel, from 0, in which every digit of MNIST has its centre of mass
_NOISE = 3  # times the border's median deviation from the paper, so about two standard deviations
_BLANK = 25  # of 255 grey levels: with no ink stronger than that a page is blank
_FAINT = 0.25  # of the strongest ink: what is weaker does not widen the digit's box


def is_image(body: Body) -> bool:
    """Whether the first bytes are those of a PNG or JPEG."""
    return bytes(body[:8]).startswith((_PNG, _JPEG))


def read(body: Body) -> NDArray[np.float32]:
    """The digit in an image file as MNIST would show it, (784,) in 0..1, ink 1 on paper 0.

    A page without ink is all zeros, to which the model answers with a confidence near 0.

    Raises:
        Refusal: malformed, as no PNG or JPEG, or a damaged one; or an image in which no digit will be looked for: an
            animation, more than `MAX_PIXELS`, or other things that would take long.
    """
    written = ink(grey(open_image(body)))
    digit = written if is_normal(written) else centre(fit(written))
    return np.asarray(digit, np.float32).reshape(-1) / np.float32(255)


def open_image(body: Body) -> Image.Image:
    """Decode a file, known by its first bytes, and turn it upright as its EXIF says; raises what `read` raises."""
    limits = next((limits for signature, limits in _MOST.items() if bytes(body[:8]).startswith(signature)), {})
    if any(len(marker.findall(body)) > most for marker, most in limits.items()):
        raise Refusal("image", "Expected a file of few scans, segments and texts, got very many. Save it without them.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about damage that Pillow can read over
        try:
            picture = Image.open(io.BytesIO(body), formats=("PNG", "JPEG"))
            _require_picture(picture)  # its header is known; nothing is decoded yet
            return ImageOps.exif_transpose(picture)
        except Refusal:
            raise
        except Image.DecompressionBombError:
            raise _too_large("far more") from None
        except UnidentifiedImageError:
            reason = "its first bytes are of another kind" if body else "there is nothing"
        except Exception as error:  # damage shows in every way
            reason = str(error)[:80] or type(error).__name__
    raise Refusal(
        "malformed", f"Expected a whole PNG or JPEG file in the body, got something else: {reason}. Save it again."
    )


def _require_picture(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise _too_large(f"{width} × {height}")
    if picture.format == "PNG" and getattr(picture, "is_animated", False):
        raise Refusal("image", "Expected one picture, got an animation. Send one frame of it.")


def _too_large(size: str) -> Refusal:
    return Refusal(
        "image",
        f"Expected an image of at most {MAX_PIXELS:,} pixels, {MAX_SIDE:,} on a side, got {size}. "
        "Crop it to the digit or make it smaller: 200 × 200 is plenty.",
    )


def grey(picture: Image.Image) -> Image.Image:
    """Any picture as 8 bits of grey (mode L), by the luma of ITU-R BT.601.

    Transparency becomes paper. A picture that is mostly transparent is a drawing on nothing: its paper is black or
    white, whichever is farther from its ink. That of any other is the median of all that can be seen.
    """
    if picture.mode.startswith("I"):  # 16 bits, of which Pillow's own conversion keeps the lower ones
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if not picture.has_transparency_data:
        return picture.convert("L")
    light, opacity = picture.convert("RGBA").convert("LA").split()
    seen = np.asarray(light)[np.asarray(opacity) >= 128]
    if 2 * seen.size >= light.width * light.height:
        paper = int(np.median(seen))
    else:
        paper = 255 if seen.size and seen.mean() < 128 else 0
    return Image.composite(light, Image.new("L", light.size, paper), opacity)


def ink(levels: Image.Image) -> Image.Image:
    """Grey levels as ink on black, so 255 - level where the paper is white.

    The paper is the median along the border; ink is what is darker or what is lighter than it, whichever there is more
    of. What the paper itself deviates, by the noise of a camera, is no ink. Without ink the result is all black.
    """
    pixels = np.asarray(levels)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).astype(int)
    paper = round(np.median(border))
    noise = _NOISE * np.median(np.abs(border - paper))
    deviation = np.arange(256) - paper
    strength = np.maximum(np.abs(deviation) - noise, 0)
    there = strength * levels.histogram()
    side = deviation > 0 if there[deviation > 0].sum() >= there[deviation < 0].sum() else deviation < 0
    written = levels.point((strength * side).round().astype(int).tolist())
    return written if _strongest(written) >= _BLANK else Image.new("L", levels.size)


def is_normal(written: Image.Image) -> bool:
    """Whether ink lies as in MNIST already: 28×28, the box 20 long, the centre of mass in place."""
    box = written.getbbox()
    if written.size != (SIDE, SIDE) or box is None:
        return False
    left, top, right, bottom = box
    return max(right - left, bottom - top) == BOX and _position(written.crop(box)) == (left, top)


def fit(written: Image.Image) -> Image.Image:
    """Cut the ink out and scale it, anti-aliased, to 20 pixels on its longer side; the strongest ink becomes 255."""
    faint = _strongest(written) * _FAINT
    box = written.point(lambda level: 255 * (level > faint)).getbbox()
    if box is None:
        return Image.new("L", (BOX, BOX))
    left, top, right, bottom = box
    scale = BOX / max(right - left, bottom - top)
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    digit = written.resize(size, Image.Resampling.BICUBIC, box, reducing_gap=3)
    strongest = _strongest(digit)
    return digit.point(lambda level: level * 255 / strongest)


def centre(digit: Image.Image) -> Image.Image:
    """Move a digit of at most 20×20, as a whole, to where its centre of mass is in the middle of 28×28."""
    page = Image.new("L", (SIDE, SIDE))
    page.paste(digit, _position(digit))
    return page


def _position(digit: Image.Image) -> tuple[int, int]:
    """Left and top of a digit that is centred."""
    mass = np.asarray(digit, np.float64)
    total = mass.sum() or 1
    across, down = mass.sum(0) @ np.arange(digit.width) / total, mass.sum(1) @ np.arange(digit.height) / total
    left, top = round(_CENTRE - across), round(_CENTRE - down)
    return min(max(left, 0), SIDE - digit.width), min(max(top, 0), SIDE - digit.height)


def _strongest(levels: Image.Image) -> int:
    return int(levels.getextrema()[1])  # type: ignore[arg-type]  # a pair of numbers, since there is one band
