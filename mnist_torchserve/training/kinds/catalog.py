"""All kinds of picture, each with the share of them that must be read right."""

from collections.abc import Callable
from typing import NamedTuple

from numpy.random import Generator
from . import files, light, stencils, surroundings
from .light import saved
from .stencils import Stencil

SEED = 20_261_126  # chosen before anything was tuned by these pictures


Render = Callable[[Generator, Stencil], bytes]  # makes a digit's file; what the kind leaves open is random


class Kind(NamedTuple):
    """A kind of picture."""

    name: str
    want: float  # share that must be read right
    render: Render


def _lit(shade: Callable[..., light.Light], *shape: float, **levels: float) -> Render:
    return lambda rng, stencil: light.photograph(rng, stencil, shade(rng, stencil.shape, *shape), **levels)


def _coloured(rng: Generator, stencil: Stencil) -> bytes:
    shade = light.sloped(rng, stencil.shape, 0.5)
    levels = (240 - 210 * stencil) * shade + rng.normal(0, 2, stencil.shape)
    return saved(levels[..., None] * rng.uniform(0.5, 1, 3), "JPEG")


def _surrounded(make: Callable[..., surroundings.Levels], *options: object) -> Render:
    return lambda rng, stencil: saved(make(rng, stencil, *options))


def _thick(stencil: Stencil) -> Stencil:
    return stencils.trimmed(stencils.thick(stencil, 4))


def _thin(stencil: Stencil) -> Stencil:
    return 1 - stencils.thick(1 - stencil, 1)[1:-1, 1:-1]


def _placed(rng: Generator, stencil: Stencil) -> bytes:
    sheet = stencils.placed(rng, stencils.resized(stencil, 60), 400, 500)
    return saved(surroundings.sheet(sheet), "JPEG")


def _sheet(change: Callable[[Stencil], Stencil], paper: float = 245, ink: float = 25, kind: str = "PNG") -> Render:
    return lambda _, stencil: saved(surroundings.sheet(change(stencil), paper, ink), kind)


def _sized(side: int, kind: str = "PNG") -> Render:
    return _sheet(lambda stencil: stencils.resized(stencil, side), kind=kind)


def _drawn(make: Callable[..., bytes], *options: object) -> Render:
    return lambda _, stencil: make(stencil, *options)


def _on_nothing(change: Callable[[Stencil], Stencil], tone: float) -> Render:
    return lambda _, stencil: files.transparent(change(stencil), tone)


def _translucent(rng: Generator, stencil: Stencil) -> bytes:
    return files.transparent(stencil, 20, rng.uniform(0.1, 0.5))


KINDS = [
    Kind("plain white paper", 0.98, _sheet(lambda stencil: stencil)),
    Kind("white on black", 0.98, _sheet(lambda stencil: stencil, 0, 255)),
    Kind("light that falls off to 0.5, black pen", 0.96, _lit(light.sloped, 0.5)),
    Kind("the same without noise, as PNG", 0.96, _lit(light.sloped, 0.5, noise=0)),
    Kind("light that falls off to 0.3, black pen", 0.96, _lit(light.sloped, 0.3)),
    Kind("light that falls off to 0.7, pencil (90)", 0.93, _lit(light.sloped, 0.7, paper=240, ink=90)),
    Kind("light that falls off to 0.7, pencil (150)", 0.93, _lit(light.sloped, 0.7, paper=240, ink=150)),
    Kind("light that falls off to 0.5, chalk", 0.95, _lit(light.sloped, 0.5, paper=70, ink=240)),
    Kind("coloured light that falls off to 0.5", 0.96, _coloured),
    Kind("under a lamp, 0.4 at the far end", 0.95, _lit(light.lamp, 0.4)),
    Kind("vignette to 0.4", 0.95, _lit(light.vignette, 0.4)),
    Kind("a shadow with a sharp edge, 0.6", 0.90, _lit(light.half, 0.6, 0)),
    Kind("a shadow with a sharp edge, 0.35", 0.90, _lit(light.half, 0.35, 0.005)),
    Kind("a shadow with a soft edge, 0.55", 0.90, _lit(light.half, 0.55, 0.06)),
    Kind("a soft band of shadow, 0.6", 0.90, _lit(light.band, 0.6, 0.04)),
    Kind("a sharp band of shadow, 0.6", 0.90, _lit(light.band, 0.6, 0.005)),
    Kind("the shadow of a head or hand, 0.55", 0.90, _lit(light.head, 0.55, 0.02)),
    Kind("a shadow, 0.75, pencil", 0.90, _lit(light.half, 0.75, 0.02, paper=240, ink=120)),
    Kind("a frame of one pixel", 0.95, _surrounded(surroundings.framed, 1, 1)),
    Kind("a frame of 2 to 8 pixels", 0.95, _surrounded(surroundings.framed, 2, 8)),
    Kind("a frame within the page's edge", 0.95, _surrounded(surroundings.framed, 1, 4, 8)),
    Kind("dark rounded corners", 0.95, _surrounded(surroundings.rounded)),
    Kind("dark bars to the left and right", 0.95, _surrounded(surroundings.barred, True)),
    Kind("dark bars above and below", 0.95, _surrounded(surroundings.barred, False)),
    Kind("a dark table's edge", 0.95, _surrounded(surroundings.on_table, 1)),
    Kind("a dark table beside two sides", 0.95, _surrounded(surroundings.on_table, 2)),
    Kind("a dark table all round", 0.95, _surrounded(surroundings.on_table, 4)),
    Kind("trimmed to its ink, on white", 0.97, _sheet(stencils.trimmed)),
    Kind("trimmed to its ink, on white, JPEG", 0.97, _sheet(stencils.trimmed, kind="JPEG")),
    Kind("trimmed, a thick pen, on white", 0.92, _sheet(_thick, 255, 0)),
    Kind("trimmed, a thick pen, on nothing", 0.92, _on_nothing(_thick, 0)),
    Kind("trimmed, a thick white pen, on nothing", 0.92, _on_nothing(_thick, 255)),
    Kind("trimmed, on nothing", 0.97, _on_nothing(stencils.trimmed, 0)),
    Kind("a translucent dark pen, on nothing", 0.97, _translucent),
    Kind("a sheet that is cut out", 0.97, files.cut_out),
    Kind("a PNG with a damaged side chunk", 0.98, files.with_broken_remark),
    Kind("16-bit grey", 0.98, _drawn(files.sixteen_bits)),
    Kind("16-bit grey, a transparent colour", 0.96, _drawn(files.keyed, 16)),
    Kind("8-bit grey, a transparent colour", 0.96, _drawn(files.keyed, 8)),
    Kind("2-bit grey, a transparent colour", 0.96, _drawn(files.keyed, 2)),
    Kind("16-bit colours, a transparent one", 0.96, _drawn(files.keyed, 16, 3)),
    Kind("turned by EXIF", 0.98, files.turned),
    Kind("CMYK", 0.98, _drawn(files.converted, "CMYK", "JPEG")),
    Kind("a palette", 0.98, _drawn(files.converted, "P", "PNG")),
    Kind("dithered", 0.97, _drawn(files.converted, "1", "PNG")),
    Kind("WebP", 0.98, _drawn(files.webp, False)),
    Kind("lossless WebP", 0.98, _drawn(files.webp, True)),
    Kind("lined paper", 0.97, _surrounded(surroundings.ruled, False)),
    Kind("squared paper", 0.97, _surrounded(surroundings.ruled, True)),
    Kind("specks", 0.97, _surrounded(surroundings.specked)),
    Kind("a thin pen", 0.96, _sheet(_thin)),
    Kind("12×12 pixels", 0.90, _sized(12)),
    Kind("700×700 pixels, JPEG", 0.98, _sized(700, "JPEG")),
    Kind("60 pixels on a sheet of 500×400", 0.96, _placed),
]
