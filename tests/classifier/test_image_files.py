"""Files of images that are refused, each with its reason, and damage that is read over."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from classifier import images
from classifier.types import Refusal
from tests.support.pictures import saved
from tests.support.raw_images import chunk, png, webp_header

PLAIN = Image.linear_gradient("L").resize((40, 40))
SCAN = saved(PLAIN, "JPEG", progressive=True)
JPEG = saved(PLAIN, "JPEG")
LAST_SCAN = SCAN[SCAN.rfind(b"\xff\xda") : -2]
ANIMATION = saved(PLAIN, save_all=True, append_images=[PLAIN.rotate(90)])
WEBP_ANIMATION = saved(PLAIN, "WEBP", save_all=True, append_images=[PLAIN.rotate(90)])
MEGABYTE = zlib.compress(bytes(1_000_000), 9)
REFUSED = {
    "nothing": (b"", "malformed", "there is nothing"),
    "another kind": (saved(PLAIN, "PPM"), "malformed", "its first bytes are of another kind"),
    "a GIF": (saved(PLAIN, "GIF"), "malformed", "got a GIF. Save one frame of it as PNG"),
    "a BMP": (saved(PLAIN, "BMP"), "malformed", "got a BMP. Save it as PNG"),
    "a TIFF": (saved(PLAIN, "TIFF"), "malformed", "got a TIFF. Save it as PNG"),
    "a PDF": (saved(PLAIN, "PDF"), "malformed", "got a PDF. Export the page as PNG"),
    "a HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "malformed", "got a HEIC photograph. Export it as JPEG"),
    "an AVIF": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "malformed", "got an AVIF. Save it as PNG or JPEG"),
    "an SVG": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "malformed", "got an SVG. Export"),
    "text": (b'{"data": []}', "malformed", "its first bytes are of another kind"),
    "half a PNG": (saved(PLAIN)[:-40], "malformed", "truncated"),
    "half a JPEG": (saved(PLAIN, "JPEG")[:-40], "malformed", "truncated"),
    "half a WebP": (saved(PLAIN, "WEBP")[:-40], "malformed", "WebP"),
    "an animated WebP": (WEBP_ANIMATION, "image", "got an animation. Send one frame"),
    "too large a WebP": (webp_header(16_000, 16_000), "image", "at most 524,288 pixels, .* got 16000 × 16000"),
    "a PNG with a wrong checksum": (saved(PLAIN).replace(b"IDAT", b"IDAT\1", 1), "malformed", "PNG, JPEG or WebP"),
    "an animation": (ANIMATION, "image", "got an animation. Send one frame"),
    "too many pixels": (png(1024, 513, b""), "image", "at most 524,288 pixels, .* got 1024 × 513. Crop it"),
    "far too many pixels": (png(2**31 - 1, 2**31 - 1, b""), "image", "at most 524,288 pixels, .* got far more"),
    "one column of pixels": (png(1, 4097, b""), "image", "4,096 on a side, got 1 × 4097. Crop it"),
    "one row of pixels": (png(4097, 1, b""), "image", "4,096 on a side, got 4097 × 1. Crop it"),
    "very many scans": (SCAN[:-2] + LAST_SCAN * 20 + SCAN[-2:], "image", "few scans"),
    "very many segments": (JPEG[:2] + b"\xff\xfe\x00\x02" * 200 + JPEG[2:], "image", "few scans, segments"),
    "very many texts": (png(1, 1, b"\0\0", *[chunk(b"tEXt", b"a\0b")] * 65), "image", "few scans, segments and texts"),
    "very much text": (png(1, 1, b"\0\0", *[chunk(b"zTXt", b"a\0\0" + MEGABYTE)] * 3), "image", "texts"),
    "very many profiles": (png(1, 1, b"\0\0", *[chunk(b"iCCP", b"a\0\0" + MEGABYTE)] * 2), "image", "texts"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_cheaply_is_refused_with_its_reason(name: str) -> None:
    body, reason, words = REFUSED[name]
    with pytest.raises(Refusal, match=words) as caught:
        images.read(body)
    assert caught.value.reason == reason
    assert caught.value.status == (400 if reason == "malformed" else 422)


@given(
    st.sampled_from([saved(PLAIN), saved(PLAIN.convert("RGBA")), saved(PLAIN, "JPEG"), SCAN, saved(PLAIN, "WEBP")]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), max_size=4),
    st.floats(0, 1),
)
def test_damage_is_read_over_or_refused(body: bytes, damages: list[tuple[float, bytes]], kept: float) -> None:
    damaged = bytearray(body)
    for place, written in damages:
        start = int(place * len(damaged))
        damaged[start : start + len(written)] = written
    if kept < 0.5:
        del damaged[int(2 * kept * len(damaged)) :]
    try:
        read = images.read(damaged)
    except Refusal as refusal:
        assert str(refusal)
    else:
        assert ((read >= 0) & (read <= 1)).all()
