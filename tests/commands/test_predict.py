"""scripts/predict, as a person and as another script use it, against a real service."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from classifier.types import SIDE
from mnist_torchserve.client import digits, files
from mnist_torchserve.client.digits import Levels
from mnist_torchserve.ports import free_ports
from mnist_torchserve.project import EXAMPLE, ROOT
from mnist_torchserve.service import TorchServe
from tests.support.checkout import Checkout
from tests.support.fixtures import MakeGateway
from tests.support.pictures import picture, saved
from tests.support.secrets import write_secret

KEY = "a-key-of-the-tests"

Real = tuple[Levels, list[int]]  # digits (3, 784), and what they show


def predict(*arguments: str | Path, given: bytes = b"", **variables: str) -> tuple[int, str, str]:
    """The command's exit code, output and complaints; no real service is found by default."""
    command = [sys.executable, str(ROOT / "scripts" / "predict"), *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "API_KEY"} | variables
    done = subprocess.run(command, input=given, capture_output=True, env=environment, check=False, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


@pytest.fixture(scope="module")
def real() -> Real:
    pixels, labels = digits.sample()
    return pixels[:3], labels[:3].tolist()


def test_every_kind_of_file_is_predicted_and_shown(node: TorchServe, real: Real, tmp_path: Path) -> None:
    pixels, labels = real
    (tmp_path / "a.png").write_bytes(saved(255 - pixels[0]))
    picture(255 - pixels[1]).resize((200, 200)).save(tmp_path / "b.jpg")
    np.save(tmp_path / "c.npy", pixels[2].reshape(SIDE, SIDE) / 255)
    (tmp_path / "d.json").write_text(json.dumps({"data": (pixels[0] / 255).tolist()}))
    files = [tmp_path / name for name in ("a.png", "b.jpg", "c.npy", "d.json")]
    code, output, complaints = predict("--url", node.predict_url, *files)
    assert (code, complaints) == (0, "")
    shown = "\n".join(line[:SIDE].rstrip() for line in output.splitlines())
    for image in (pixels[0], pixels[2]):
        assert digits.draw(image) in shown
    answers = [int(line.split("prediction")[1]) for line in output.splitlines() if "prediction" in line]
    assert answers == [*labels, labels[0]]
    assert output.splitlines()[-1] == "4 of 4 images predicted."


def test_colours_show_two_pixels_in_a_character(node: TorchServe, real: Real, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(real[0][0]))
    url = ("--url", node.predict_url)
    code, output, _ = predict(*url, tmp_path / "a.png", FORCE_COLOR="1", COLORTERM="truecolor", TERM="xterm-256color")
    assert code == 0
    cells = re.findall(r"38;2;(\d+);\d+;\d+;48;2;(\d+);\d+;\d+m(▀+)", output)
    greys = [[int(top), int(bottom)] for top, bottom, run in cells for _ in run]
    np.testing.assert_array_equal(np.array(greys).reshape(14, SIDE, 2).swapaxes(1, 2).reshape(-1), real[0][0])


def test_several_images_in_a_file_are_lines_of_json(node: TorchServe, real: Real, tmp_path: Path) -> None:
    pixels, labels = real
    np.save(tmp_path / "several.npy", pixels)
    instances = {"instances": [(pixels[0] / 255).tolist(), [0.0], (pixels[2] / 255).tolist()]}
    given = json.dumps(instances).encode()
    code, output, _ = predict("--json", "--url", node.predict_url, tmp_path / "several.npy", "-", given=given)
    assert code == 1
    found = lines(output)
    assert [(line["file"], line["image"]) for line in found] == [
        *((str(tmp_path / "several.npy"), index) for index in range(3)),
        *(("-", index) for index in range(3)),
    ]
    assert [line.get("prediction") for line in found] == [*labels, labels[0], None, labels[2]]
    assert found[4]["code"] == 422
    assert "Expected 784 numbers, got 1 - at `$.instances[1]`" in found[4]["message"]


def test_arrays_of_bytes_and_of_floats_are_the_same_image(real: Real) -> None:
    floats = digits.floats(real[0])
    for array in (real[0], real[0].astype(np.int64).reshape(3, SIDE, SIDE), floats, floats.astype(np.float64)):
        file = io.BytesIO()
        np.save(file, array)
        np.testing.assert_array_equal(files.read(file.getvalue()), floats)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "got nothing"),
        (b"\x89PNG\r\n\x1a\n", "Expected a whole PNG, JPEG or WebP"),
        (b"\x93NUMPY", "Expected a .npy file of images"),
        (b'{"data": [2]}', "Expected 784 numbers, got 1"),
        (None, "No such file"),
    ],
)
def test_unreadable_file_does_not_keep_the_others_from_their_answer(
    node: TorchServe, real: Real, tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "bad").write_bytes(content)
    (tmp_path / "good").write_bytes(saved(picture(real[0][0]).resize((56, 56))))
    code, output, complaints = predict("--url", node.predict_url, "--json", tmp_path / "bad", tmp_path / "good")
    assert (code, complaints) == (1, "")
    bad, good = lines(output)
    assert words in bad["message"]
    assert good["prediction"] == real[1][0]


def test_key_comes_from_the_environment(
    make_gateway: MakeGateway, node: TorchServe, real: Real, tmp_path: Path
) -> None:
    write_secret(tmp_path / "keys", KEY)
    with make_gateway(node, keys=str(tmp_path / "keys")).running() as gateway:
        code, output, _ = predict("--json", "--url", gateway.url, "-", given=saved(real[0][0]))
        assert (code, lines(output)[0]["code"]) == (1, 401)
        assert "x-api-key" in lines(output)[0]["message"]
        code, output, _ = predict("--json", "--url", gateway.url, "-", given=saved(real[0][0]), API_KEY=KEY)
        assert (code, lines(output)[0]["prediction"]) == (0, real[1][0])


def test_a_phones_photograph_is_made_smaller_and_all_probabilities_are_told(
    node: TorchServe, real: Real, tmp_path: Path
) -> None:
    page = Image.new("L", (3024, 4032), 230)
    page.paste(picture(255 - real[0][0]).resize((1400, 1400)), (800, 1200))
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    page.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "photo.jpg", exif=exif)
    code, output, complaints = predict("--json", "--url", node.predict_url, tmp_path / "photo.jpg")
    assert (code, complaints) == (0, f"{tmp_path / 'photo.jpg'}: made smaller: 480 × 640 of 4032 × 3024 pixels.\n")
    [line] = lines(output)
    assert line["prediction"] == real[1][0]
    assert max(line["probabilities"]) == line["probabilities"][line["prediction"]] == line["confidence"]


def test_missing_service_and_wrong_usage_are_told_apart(checkout: Checkout) -> None:
    output = checkout.run("scripts/predict docs/seven.json", code=1)
    assert output == "No service runs here: start it with scripts/serve, or name another with --url.\n"
    url = f"http://127.0.0.1:{free_ports(1)[0]}/predict"
    code, output, complaints = predict("--url", url, ROOT / "docs" / "seven.json")
    assert (code, output) == (1, "")
    assert complaints.startswith(f"No service answers at {url} (ConnectionError): start that service")
    assert predict()[0] == predict("--url", "localhost:8000", "-")[0] == 2


def test_name_in_no_encoding_and_a_plain_terminal_lose_no_answer(node: TorchServe, tmp_path: Path) -> None:
    names = [os.fsencode(tmp_path) + b"/se\xffven.json", os.fsencode(tmp_path) + "/siebenfünf.json".encode()]
    for name in names:
        Path(os.fsdecode(name)).write_bytes(EXAMPLE.read_bytes())
    files = [os.fsdecode(name) for name in names]
    plain = {"PYTHONIOENCODING": "ascii", "COLUMNS": "36"}
    code, output, complaints = predict("--url", node.predict_url, *files, given=b"", **plain)
    assert (code, complaints) == (0, "")
    assert output.isascii()
    assert output.count("prediction  7") == 2
    code, output, complaints = predict("--json", "--url", node.predict_url, *files, given=b"", **plain)
    assert (code, complaints) == (0, "")
    assert [(line["file"], line["prediction"]) for line in lines(output)] == [(name, 7) for name in files]
