"""Images as people have them: each step from a file to 28×28, against MNIST's own digits and against what is known."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from classifier import image_files, images
from classifier.paper import ink
from classifier.runtime import Runtime
from classifier.types import PIXELS, SIDE
from mnist_torchserve.client import digits
from mnist_torchserve.gateway.demo_page import STROKES
from mnist_torchserve.training import image_accuracy
from mnist_torchserve.training.dataset import Split
from mnist_torchserve.training.image_accuracy import WAYS, Accuracy
from tests.support.fixtures import Sample
from tests.support.pictures import picture, saved
from tests.support.raw_images import adam7, png


@pytest.fixture(scope="module")
def digit(sample: Sample) -> NDArray[np.uint8]:
    """A real 7 (28, 28), its ink light."""
    return digits.levels(sample[0][0]).reshape(SIDE, SIDE)


def test_a_digit_of_mnist_comes_out_as_it_is(sample: Sample) -> None:
    for expected in sample[0]:
        levels = digits.levels(expected)
        np.testing.assert_array_equal(images.read(saved(levels)), expected)
        np.testing.assert_array_equal(images.read(saved(255 - levels)), expected)


def test_digits_are_read_as_well_from_files_as_from_their_floats(model: Runtime, sample: Sample) -> None:
    """A subset of the 10,000 that `scripts/evaluate --images` reads."""
    split = Split(digits.levels(sample[0]), sample[1])
    floats, *ways = image_accuracy.measure(model, split)
    assert {(way.saved.kind, way.saved.paper, way.saved.side) for way in ways if way.saved} >= {
        ("PNG", paper, side) for paper in ("black", "white") for side in (SIDE, 56, 200)
    }
    assert [way for way in ways if way.accuracy < floats.accuracy - 0.003] == []


def test_measured_accuracy_takes_the_place_of_the_last(tmp_path: Path) -> None:
    document = tmp_path / "images.md"
    document.write_text("# Images\n\n## Accuracy\n\nold")
    measured = [Accuracy(None, 0.99, 0.9), Accuracy(WAYS[0], 0.988, 0.9), Accuracy(WAYS[1], 0.98, 0.9)]
    image_accuracy.write(image_accuracy.report(measured, 10_000), document)
    written = document.read_text()
    assert written.startswith("# Images\n\n## Accuracy\n\n10,000 of MNIST")
    assert "Some kinds lose more\nthan 0.3 points" in written
    assert "old" not in written
    assert image_accuracy.missed(measured) == measured[2:]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(digit: NDArray[np.uint8], orientation: int) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions, by the orientation that they give
    upright = picture(digit).resize((56, 56))
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "JPEG"):
        opened = image_files.open_image(saved(stored, kind, exif=exif))
        assert np.abs(np.asarray(opened, int) - np.asarray(upright, int)).max() <= (0 if kind == "PNG" else 24)


def test_interlaced_files_are_read(digit: NDArray[np.uint8]) -> None:
    opened = image_files.open_image(png(SIDE, SIDE, adam7(digit), interlace=1))
    np.testing.assert_array_equal(np.asarray(opened), digit)
    lossless = images.read(saved(digit, "WEBP", lossless=True))
    np.testing.assert_array_equal(lossless, digit.ravel() / np.float32(255))
    progressive = saved(digit, "JPEG", progressive=True, quality=95)
    assert np.abs(np.asarray(image_files.open_image(progressive), int) - digit).max() <= 24


def test_whole_picture_is_scaled_whatever_is_transparent() -> None:
    """Each quarter of the picture is a quarter of the pixels, also where the rest is transparent."""
    light = Image.new("LA", (2 * SIDE, 2 * SIDE), (0, 0))
    light.paste((220, 255), (0, 0, SIDE, SIDE))
    expected = np.zeros((SIDE, SIDE), np.float32)
    expected[: SIDE // 2, : SIDE // 2] = 220 / 255
    np.testing.assert_allclose(images.read_plain(saved(light)).reshape(SIDE, SIDE), expected, atol=1e-6)


def test_every_kind_of_pixel_becomes_grey(digit: NDArray[np.uint8]) -> None:
    plain = picture(digit)
    red = Image.merge("RGB", [plain, Image.new("L", (SIDE, SIDE)), Image.new("L", (SIDE, SIDE))])
    sixteen = (digit.astype(int) * 256 + 77).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in sixteen)
    grey = {
        name: images.grey(image_files.open_image(body))
        for name, body in {
            "grey": saved(plain),
            "colour": saved(plain.convert("RGB")),
            "palette": saved(plain.convert("P")),
            "16 bits": png(SIDE, SIDE, rows, bits=16),
            "CMYK": saved(plain.convert("CMYK"), "JPEG", quality=100),
            "opaque": saved(plain.convert("RGBA")),
        }.items()
    }
    for name, found in grey.items():
        assert found.mode == "L", name
        assert np.abs(np.asarray(found, int) - digit).max() <= (6 if name == "CMYK" else 0), name
    assert images.grey(image_files.open_image(saved(red))).getextrema() == (0, round(0.299 * digit.max()))
    bilevel = images.grey(image_files.open_image(saved(picture(255 * (digit > 127)).convert("1"))))
    np.testing.assert_array_equal(np.asarray(bilevel), 255 * (digit > 127))


def test_transparency_is_paper(digit: NDArray[np.uint8]) -> None:
    nothing = np.zeros((SIDE, SIDE, 4), np.uint8)
    for pen in (0, 255):  # a drawing on nothing, by a black or a white pen
        drawing = nothing.copy()
        drawing[..., :3], drawing[..., 3] = pen, digit
        np.testing.assert_allclose(images.read(saved(Image.fromarray(drawing))), digit.ravel() / 255, atol=0.01)
    sheet = np.dstack([255 - digit] * 3 + [np.full((SIDE, SIDE), 255, np.uint8)])
    sheet[:3, :3] = 0  # a corner cut off a white sheet
    np.testing.assert_allclose(images.read(saved(Image.fromarray(sheet))), digit.ravel() / 255, atol=0.01)
    assert not images.read(saved(Image.fromarray(nothing))).any()


@pytest.mark.parametrize(
    ("paper", "difference"), [(0, 255), (0, 40), (60, -40), (60, 150), (110, -100), (128, 100), (255, -40), (255, -255)]
)
def test_ink_is_what_differs_from_the_paper_along_the_border(paper: int, difference: int) -> None:
    levels = np.full((50, 40), paper)
    levels[20:30, 10:12] += difference
    expected = np.zeros((50, 40))
    expected[20:30, 10:12] = abs(difference)
    np.testing.assert_array_equal(np.asarray(ink(picture(levels))[0]), expected)


def test_noise_of_the_paper_is_no_ink() -> None:
    noise = np.random.default_rng(0).normal(200, 5, (100, 100))
    assert not np.asarray(ink(picture(noise))[0]).any()
    noise[40:60, 48:52] = 20
    found = np.asarray(ink(picture(noise))[0])
    assert (found[40:60, 48:52] > 150).all()
    assert (found > 0).sum() < 100 * 100 * 0.06


def fitted_ink(page: NDArray[np.uint8]) -> Image.Image:
    written, box = ink(picture(page))
    assert box is not None
    return images.fit(written, box)


def test_fit_keeps_the_aspect_ratio_and_smooths() -> None:
    page = np.zeros((300, 200), np.uint8)
    page[50:150, 61:100] = 120  # 39 wide, 100 high
    fitted = fitted_ink(page)
    assert fitted.size == (8, 20)
    assert (np.asarray(fitted) > 200).all()
    page[50:150, 80:100] = 0
    page[99:101, 60:100] = 120
    levels = set(np.asarray(fitted_ink(page)).ravel().tolist())
    assert max(levels) == 255
    assert levels - {0, 255}, "an edge within a pixel is grey"


@pytest.mark.parametrize(("width", "height"), [(20, 20), (20, 3), (7, 20), (1, 1)])
def test_centre_puts_the_centre_of_mass_into_the_middle(width: int, height: int) -> None:
    ink = np.random.default_rng(width).integers(100, 256, (height, width))
    page = np.asarray(images.centre(picture(ink)), float)
    assert page.shape == (SIDE, SIDE)
    assert page.sum() == ink.sum()
    rows, columns = np.indices(page.shape)
    for axis in (rows, columns):
        assert abs((page * axis).sum() / page.sum() - 14) <= 0.5


def test_a_digit_anywhere_in_any_size_is_moved_to_where_mnist_has_it(digit: NDArray[np.uint8]) -> None:
    page = np.full((240, 320), 230)
    page[20:104, 200:284] -= np.asarray(picture(digit).resize((84, 84)), int) * 200 // 255
    for kind in ("PNG", "JPEG"):
        read = images.read(saved(page, kind))
        assert np.abs(read - digit.ravel() / 255).mean() < 0.02


@pytest.mark.parametrize("pen", [2, 12, 36])
def test_digits_on_a_photographed_sheet_are_read(model: Runtime, pen: int) -> None:
    """Ink on grey paper, in light that falls off by 80 levels from corner to corner, with a camera's noise."""
    down, right = np.indices((300, 300)) / 300
    light = 200 - 40 * down - 40 * right + np.random.default_rng(pen).normal(0, 4, (300, 300))
    read = []
    for strokes in STROKES.values():
        sheet = Image.new("L", (300, 300), 255)
        for stroke in strokes:
            ImageDraw.Draw(sheet).line([(3 * x, 3 * y) for x, y in stroke], 64, pen, joint="curve")
        read.append(images.read(saved(np.clip(light * np.asarray(sheet) / 255, 0, 255), "JPEG")))
    answers = model.probabilities(np.stack(read))
    assert answers.argmax(1).tolist() == list(STROKES)
    assert answers.max(1).min() > 0.5


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (2, 1), (1, 3000), (3000, 1), (3, 3), (27, 28), (29, 29), (1024, 512)]
)
def test_any_shape_is_answered(width: int, height: int) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (height, width))
    for one in (levels, np.zeros_like(levels)):
        read = images.read(saved(one))
        assert read.shape == (PIXELS,)
        assert read.dtype == np.float32
        assert ((read >= 0) & (read <= 1)).all()


@pytest.mark.parametrize("level", [0, 90, 255])
@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_a_blank_page_is_answered_with_low_confidence(model: Runtime, level: int, mode: str) -> None:
    read = images.read(saved(Image.new("L", (100, 80), level).convert(mode)))
    assert not read.any()
    assert model.probabilities(read[None]).max() < 0.2
