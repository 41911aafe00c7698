"""Turns a PNG, JPEG or WebP into an upright picture, and refuses other files by name. Does not depend on TorchServe."""

import io
import re
import struct
import warnings
import zlib
from contextlib import suppress

from PIL import Image, ImageOps, UnidentifiedImageError
from .types import Body, Refusal

MEDIA_TYPES = ("image/png", "image/jpeg", "image/jpg", "image/webp")  # the third is unofficial, but often used
MAX_PIXELS = 1 << 19  # 800 × 600 and some: a worker decodes them in 5 to 7 ms
MAX_SIDE = 4096  # pixels; each row has a cost of its own: a picture of one column would take 50 ms
# How many other parts a file may have, by their marker, so that no file takes longer than a photograph. A few bytes of
# each can take a millisecond: a scan of a progressive JPEG, which usually has 10, is a pass over all pixels; compressed
# text of a PNG unpacks to a megabyte; and each segment of a JPEG and each piece of text has a cost of its own.
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_WEBP = re.compile(rb"RIFF....WEBP", re.DOTALL)
_MOST = {
    _PNG: {re.compile(b"iCCP"): 1, re.compile(b"[zi]TXt"): 2, re.compile(b"tEXt"): 64},
    _JPEG: {re.compile(b"\xff\xda"): 16, re.compile(b"\xff[\xc4\xdb-\xfe]"): 128},
}
_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}  # chunks of a PNG that make its pixels

HOW_TO_SEND = (
    "Send the picture's own bytes as the body, with the header `Content-Type: image/png` (or image/jpeg, image/webp): "
    "curl --data-binary @digit.png -H 'Content-Type: image/png'."
)
# A picture in text: a data URL, or the base64 of a PNG, JPEG, WebP or GIF. JSON may escape its slash.
_ENCODED = re.compile(rb"data:image|[\"\s](iVBORw0KGgo|\\?/9j\\?/|UklGR|R0lGOD)|^(iVBORw0KGgo|/9j/|UklGR|R0lGOD)")

# Other files that people send as pictures, by their first bytes, and what to do with them.
_OTHERS = {
    re.compile(rb"GIF8[79]a"): ("a GIF", "Save one frame of it as PNG"),
    re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL): ("a BMP", "Save it as PNG"),
    re.compile(rb"....ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)", re.DOTALL): (
        "a HEIC photograph",
        "Export it as JPEG; an iPhone takes JPEG at once with Settings > Camera > Formats > Most Compatible",
    ),
    re.compile(rb"....ftypavi[fs]", re.DOTALL): ("an AVIF", "Save it as PNG or JPEG"),
    re.compile(rb"%PDF-"): ("a PDF", "Export the page as PNG, or take a picture of it"),
    re.compile(rb"II\*\0|MM\0\*"): ("a TIFF", "Save it as PNG"),
    re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]", re.DOTALL): (
        "an SVG",
        "Export it as PNG",
    ),
}


def is_image(body: Body) -> bool:
    """Whether the first bytes are those of a PNG, JPEG or WebP."""
    start = bytes(body[:12])
    return start.startswith((_PNG, _JPEG)) or _WEBP.match(start) is not None


def other_kind(body: Body) -> Refusal | None:
    """Return the refusal of another kind of file, found by its first bytes. It says what to convert the file to."""
    start = bytes(body[:512])
    for signature, (name, advice) in _OTHERS.items():
        if signature.match(start):
            return Refusal("malformed", f"Expected a PNG, JPEG or WebP file in the body, got {name}. {advice}.")
    return None


def advice(body: bytes) -> str:
    """Return what to do with a body that was read as something else, or "" if it contains no picture."""
    other = other_kind(body)
    if other is not None:
        return str(other)
    return HOW_TO_SEND if is_image(body) or _ENCODED.search(body) else ""


def open_image(body: Body) -> Image.Image:
    """Decode a file by its first bytes, and turn the picture upright as its EXIF says.

    Raises:
        Refusal: the file is not a PNG, JPEG or WebP, or is damaged; or it is an image that the service does not read:
            an animation, one of more than `MAX_PIXELS`, or one that would take long.
    """
    body = bytes(body)
    limits = next((limits for signature, limits in _MOST.items() if body.startswith(signature)), {})
    if any(len(marker.findall(body)) > most for marker, most in limits.items()):
        raise Refusal("image", "Expected a file of few scans, segments and texts, got very many. Save it without them.")
    if other := other_kind(body):
        raise other
    if _WEBP.match(body):
        _require_size(*_webp_size(body))  # Pillow allocates memory for all of it before it tells the size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about damage that Pillow can ignore
        picture = _decode(body)
        if isinstance(picture, Exception):
            bare = _decode(_without_side_chunks(body)) if body.startswith(_PNG) else picture
            if isinstance(bare, Exception):
                raise _malformed(body, picture)
            picture = bare
        if picture.format == "PNG":
            _scale_transparent_colour(picture, bits=body[24])
        with suppress(Exception):  # without readable EXIF, the picture is not turned
            return ImageOps.exif_transpose(picture)
        return picture


def _decode(body: bytes) -> Image.Image | Exception:
    """Return the picture in a file, or the error that Pillow raises."""
    # Each `try` calls only Pillow, so that an error comes from the file and not from our code.
    try:
        picture = Image.open(io.BytesIO(body), formats=("PNG", "JPEG", "WEBP"))
    except Exception as error:  # damage can raise any error
        return error
    _require_size(*picture.size)  # only its header has been read so far
    if picture.format != "JPEG" and getattr(picture, "is_animated", False):
        raise Refusal("image", "Expected one picture, got an animation. Send one frame of it.")
    try:
        picture.load()
    except Exception as error:
        return error
    return picture


def _without_side_chunks(body: bytes) -> bytes:
    """Return a PNG with only the chunks that make its pixels. Damage to the other chunks spoils no pixel."""
    pieces, at = [_PNG], len(_PNG)
    while at + 12 <= len(body):
        length, kind = struct.unpack_from(">I4s", body, at)
        end = at + 12 + length
        if kind == b"tRNS":
            pieces.append(body[at : end - 4] + struct.pack(">I", zlib.crc32(body[at + 4 : end - 4])))
        elif kind in _KEPT:
            pieces.append(body[at:end])
        at = end
    return b"".join(pieces)


def _scale_transparent_colour(picture: Image.Image, bits: int) -> None:
    """Convert the colour that counts as transparent from the file's bits to those of Pillow's pixels."""
    clear = picture.info.get("transparency")
    if isinstance(clear, tuple) and bits == 16:
        picture.info["transparency"] = tuple(level >> 8 for level in clear)
    elif isinstance(clear, int) and picture.mode in ("1", "L") and bits < 8:
        picture.info["transparency"] = clear * 255 // (2**bits - 1)


def _webp_size(body: bytes) -> tuple[int, int]:
    """Return the width and height of a WebP, or (0, 0) if its header is cut short: https://www.rfc-editor.org/rfc/rfc9649."""
    if len(body) < 30:
        return 0, 0
    match body[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(body[24:27], "little"), 1 + int.from_bytes(body[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(body[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case _:
            width, height = struct.unpack_from("<HH", body, 26)
            return width & 0x3FFF, height & 0x3FFF


def _require_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise _too_large(f"{width} × {height}")


def _too_large(size: str) -> Refusal:
    return Refusal(
        "image",
        f"Expected an image of at most {MAX_PIXELS:,} pixels, {MAX_SIDE:,} on a side, got {size}. "
        "Crop it to the digit or make it smaller: 200 × 200 is plenty.",
    )


def _malformed(body: bytes, error: Exception) -> Refusal:
    if isinstance(error, Image.DecompressionBombError):
        return _too_large("far more")
    if not body:
        reason = "there is nothing"
    elif isinstance(error, UnidentifiedImageError):
        reason = "its header is damaged" if is_image(body) else "its first bytes are of another kind"
    else:
        reason = str(error)[:80] or type(error).__name__
    return Refusal(
        "malformed",
        f"Expected a whole PNG, JPEG or WebP file in the body, got something else: {reason}. Save it again.",
    )
