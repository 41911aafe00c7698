"""Digits in files of every kind: transparent, trimmed, with other pixels than 8 bits, with damaged chunks."""

import io
import struct
import zlib

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from .light import saved
from .stencils import Stencil
from .surroundings import Levels, sheet


def transparent(stencil: Stencil, tone: float, opacity: float = 1) -> bytes:
    """Draw a digit with a pen of this tone and opacity on a transparent picture."""
    levels = np.full((*stencil.shape, 4), tone)
    levels[..., 3] = 255 * opacity * stencil
    return saved(levels)


def cut_out(rng: Generator, stencil: Stencil) -> bytes:
    """Draw a white sheet whose corners are cut off, or that is surrounded by transparency."""
    levels = np.full((*stencil.shape, 4), 255.0)
    levels[..., :3] = sheet(stencil)[..., None]
    y, x = np.indices(stencil.shape)
    side = stencil.shape[0]
    cut = rng.integers(5, side // 5)
    levels[np.abs(x - side / 2) + np.abs(y - side / 2) > side - cut] = 0
    return saved(np.pad(levels, [(4, 4), (4, 4), (0, 0)]) if rng.random() < 0.5 else levels)


def turned(rng: Generator, stencil: Stencil) -> bytes:
    """Save a JPEG that is turned or mirrored, as its EXIF says."""
    orientation = int(rng.integers(2, 9))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # Pillow's transpositions
    exif = Image.Exif()
    exif[0x0112] = orientation
    return _saved(_image(sheet(stencil)).transpose(Image.Transpose(undo)), "JPEG", exif=exif)


def converted(stencil: Stencil, mode: str, kind: str) -> bytes:
    """Save with other pixels: CMYK, a palette, or dithered black and white."""
    return _saved(_image(sheet(stencil, 255, 0)).convert(mode), kind)


def webp(stencil: Stencil, lossless: bool) -> bytes:
    """Save as WebP."""
    return _saved(_image(sheet(stencil)).convert("RGB"), "WEBP", lossless=lossless, quality=80)


def sixteen_bits(stencil: Stencil) -> bytes:
    """Save 16-bit grey."""
    return _png(257 * sheet(stencil)[..., None], bits=16)


def keyed(stencil: Stencil, bits: int, colours: int = 1) -> bytes:
    """Draw a black digit on a dark grey that the file marks as transparent."""
    on = stencil > 0.5
    levels = np.where(on, 0, 2 ** (bits - 2) * 3 // 2 if bits > 2 else 1)[..., None].repeat(colours, 2)
    clear = struct.pack(f">{colours}H", *levels[0, 0].astype(int))
    return _png(levels, bits=bits, remarks=[(b"tRNS", clear)])


def with_broken_remark(rng: Generator, stencil: Stencil) -> bytes:
    """Save a whole PNG in which one of the side chunks is damaged."""
    name, content = [
        (b"eXIf", b"no header of TIFF"),
        (b"eXIf", b""),
        (b"eXIf", b"MM\0\x2a\0\0\xff\xff\0\1"),
        (b"tEXt", b"Comment\0of a program"),
        (b"zTXt", b"Comment\0\0not deflated"),
        (b"iCCP", b"profile\0\0not deflated"),
        (b"pHYs", b"\0"),
        (b"gAMA", b""),
        (b"iTXt", b"a"),
        (b"cHRM", b"\0\0"),
    ][int(rng.integers(0, 10))]
    wrong = bool(rng.random() < 0.5 or name == b"tEXt")  # its checksum
    return _png(np.rint(sheet(stencil))[..., None], bits=8, remarks=[(name, content)], wrong=wrong)


def _png(levels: Levels, bits: int, remarks: list[tuple[bytes, bytes]] | None = None, wrong: bool = False) -> bytes:
    """Write a PNG of levels (rows, columns, 1 or 3) that Pillow cannot write."""
    height, width, colours = levels.shape
    kind = ">u2" if bits == 16 else np.uint8
    values = np.rint(levels).astype(kind).reshape(height, width * colours)
    if bits < 8:
        values = _packed(values, bits)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, bits, 2 if colours == 3 else 0, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header), *(_chunk(*remark, wrong) for remark in remarks or ())]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*chunks, _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b"")])


def _packed(values: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    shifts = np.arange(bits - 1, -1, -1, dtype=np.uint8)
    single = (values[..., None] >> shifts & 1).reshape(len(values), -1)
    return np.packbits(single, axis=1)


def _chunk(kind: bytes, content: bytes, wrong: bool = False) -> bytes:
    check = zlib.crc32(kind + content) ^ wrong
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def _image(levels: Levels) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
