"""All kinds of picture, each with the share that is to be read right, and how many at most wrong and sure of it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from PIL import Image
from . import files, light, stencils, surroundings
from .light import saved
from .stencils import Stencil

SEED = 20_261_126  # chosen before anything was tuned by these pictures


class Kind(NamedTuple):
    """A kind of picture."""

    name: str
    want: float  # share that is to be read right
    render: Callable[[Generator, Stencil], bytes]


def _lit(shade: Callable[..., light.Light], *shape: float, **levels: float) -> Callable[[Generator, Stencil], bytes]:
    return lambda rng, stencil: light.photograph(rng, stencil, shade(rng, stencil.shape, *shape), **levels)


def _coloured(rng: Generator, stencil: Stencil) -> bytes:
    shade = light.sloped(rng, stencil.shape, 0.5)
    levels = (240 - 210 * stencil) * shade + rng.normal(0, 2, stencil.shape)
    return saved(levels[..., None] * rng.uniform(0.5, 1, 3), "JPEG")


def _surrounded(
    make: Callable[..., surroundings.Levels], *options: object
) -> Callable[[Generator, Stencil], bytes]:
    return lambda rng, stencil: saved(make(rng, stencil, *options))


def _thick(stencil: Stencil) -> Stencil:
    return stencils.trimmed(stencils.thick(stencil, 5))


def _thin(stencil: Stencil) -> Stencil:
    return np.where(stencils.thick(1 - stencil, 1)[1:-1, 1:-1] > 0.5, 0, stencil)


PLAIN, PENCIL = {"paper": 245, "ink": 25}, {"paper": 240, "ink": 150}

KINDS = [
    Kind("plain white paper", 0.97, lambda _, stencil: saved(surroundings.sheet(stencil))),
    Kind("white on black", 0.97, lambda _, stencil: saved(surroundings.sheet(stencil, 0, 255))),
    Kind("light that falls off to 0.5, black pen", 0.96, _lit(light.sloped, 0.5)),
    Kind("the same without noise", 0.96, _lit(light.sloped, 0.5, noise=0, jpeg=False)),
    Kind("light that falls off to 0.3, black pen", 0.95, _lit(light.sloped, 0.3)),
    Kind("light that falls off to 0.7, pencil", 0.93, _lit(light.sloped, 0.7, **PENCIL)),
    Kind("the same, a dark pencil", 0.93, _lit(light.sloped, 0.7, paper=240, ink=90)),
    Kind("chalk, light that falls off to 0.5", 0.95, _lit(light.sloped, 0.5, paper=70, ink=240)),
    Kind("coloured light that falls off", 0.95, _coloured),
    Kind("a lamp, 0.4 at the far end", 0.95, _lit(light.lamp, 0.4)),
    Kind("vignette to 0.4", 0.95, _lit(light.vignette, 0.4)),
    Kind("shadow with a sharp edge", 0.90, _lit(light.half, 0.6, 0)),
    Kind("a deep shadow with a sharp edge", 0.90, _lit(light.half, 0.35, 0.005)),
    Kind("shadow with a soft edge", 0.90, _lit(light.half, 0.55, 0.06)),
    Kind("a band of shadow, soft", 0.90, _lit(light.band, 0.6, 0.04)),
    Kind("a band of shadow, sharp", 0.90, _lit(light.band, 0.6, 0.005)),
    Kind("the shadow of a head or hand", 0.90, _lit(light.head, 0.55, 0.02)),
    Kind("shadow, pencil", 0.85, _lit(light.half, 0.75, 0.02, paper=240, ink=120)),
    Kind("a frame of one pixel", 0.95, _surrounded(surroundings.framed, 1, 1)),
    Kind("a frame of 2 to 8 pixels", 0.95, _surrounded(surroundings.framed, 2, 8)),
    Kind("a frame within the edge", 0.95, _surrounded(surroundings.framed, 1, 4, 8)),
    Kind("dark rounded corners", 0.95, _surrounded(surroundings.rounded)),
    Kind("dark bars beside", 0.95, _surrounded(surroundings.barred, True)),
    Kind("dark bars above and below", 0.95, _surrounded(surroundings.barred, False)),
    Kind("a dark table's edge", 0.95, _surrounded(surroundings.on_table, 1)),
    Kind("a dark table beside two sides", 0.95, _surrounded(surroundings.on_table, 2)),
    Kind("a dark table all round", 0.95, _surrounded(surroundings.on_table, 4)),
    Kind("transparent, trimmed", 0.97, lambda _, s: files.transparent(stencils.trimmed(s), 0)),
    Kind("transparent, trimmed, thick pen", 0.90, lambda _, s: files.transparent(_thick(s), 0)),
    Kind("on white, trimmed, thick pen", 0.90, lambda _, s: saved(surroundings.sheet(_thick(s), 255, 0))),
    Kind("transparent, a white thick pen", 0.90, lambda _, s: files.transparent(_thick(s), 255)),
    Kind("translucent dark pen on nothing", 0.97, lambda rng, s: files.transparent(s, 20, rng.uniform(0.12, 0.5))),
    Kind("a sheet that is cut out", 0.97, files.cut_out),
    Kind("trimmed, no margin", 0.96, lambda _, s: saved(surroundings.sheet(stencils.trimmed(s)))),
    Kind("trimmed, no margin, JPEG", 0.96, lambda _, s: saved(surroundings.sheet(stencils.trimmed(s)), "JPEG")),
    Kind("a PNG with a damaged side chunk", 0.97, files.with_broken_remark),
    Kind("16-bit grey", 0.97, lambda _, s: files.sixteen_bits(s)),
    Kind("16-bit grey with a transparent colour", 0.95, lambda _, s: files.keyed(s, 16)),
    Kind("8-bit grey with a transparent colour", 0.95, lambda _, s: files.keyed(s, 8)),
    Kind("2-bit grey with a transparent colour", 0.95, lambda _, s: files.keyed(s, 2)),
    Kind("16-bit colour with a transparent colour", 0.95, lambda _, s: files.keyed(s, 16, 3)),
    Kind("turned by EXIF", 0.97, files.turned),
    Kind("CMYK", 0.97, lambda _, s: files.converted(s, "CMYK", "JPEG")),
    Kind("a palette", 0.97, lambda _, s: files.converted(s, "P", "PNG")),
    Kind("dithered", 0.97, lambda _, s: files.converted(s, "1", "PNG")),
    Kind("WebP", 0.97, lambda _, s: files.webp(s, False)),
    Kind("lossless WebP", 0.97, lambda _, s: files.webp(s, True)),
    Kind("lined paper", 0.96, _surrounded(surroundings.ruled, False)),
    Kind("squared paper", 0.96, _surrounded(surroundings.ruled, True)),
    Kind("specks", 0.97, _surrounded(surroundings.specked)),
    Kind("a thin pen", 0.90, lambda _, s: saved(surroundings.sheet(_thin(s)))),
    Kind("12×12 pixels", 0.90, lambda _, s: saved(surroundings.sheet(stencils.resized(s, 12)))),
    Kind("700×700 pixels", 0.97, lambda _, s: saved(surroundings.sheet(stencils.resized(s, 700)), "JPEG")),
    Kind(
        "small on a large sheet",
        0.96,
        lambda rng, s: saved(surroundings.sheet(stencils.placed(rng, stencils.resized(s, 60), 400, 500)), "JPEG"),
    ),
]
