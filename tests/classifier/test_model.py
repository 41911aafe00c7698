"""What an archive says of its model: names, pictures, a golden example; and answers that follow it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classifier import batch, model
from classifier.model import ModelError
from classifier.types import PIXELS, Model, Request
from mnist_torchserve.project import ROOT
from tests.support.pictures import saved

GOLDEN = {"data": [0.5] * PIXELS, "prediction": 2, "confidence": [0.4, 0.6]}
NAMES = {"0": "coat", "1": ["n01", "bag"], "2": 'a "shoe", größer'}


def unpacked(folder: Path, golden: Any = None, names: Any = None) -> Path:
    (folder / "golden_example.json").write_text(json.dumps(golden or GOLDEN))
    if names is not None:
        (folder / "index_to_name.json").write_text(json.dumps(names))
    return folder


def test_names_are_read_as_torchserve_reads_them(tmp_path: Path) -> None:
    contents = model.read(unpacked(tmp_path, names=NAMES), "clothes", "1.0", {}, 3)
    assert contents.model == Model("clothes", "1.0", ("coat", "bag", 'a "shoe", größer'), "plain")


def test_model_without_names_has_none(tmp_path: Path) -> None:
    contents = model.read(unpacked(tmp_path), "m", "2.0", {"handler": {"pictures": "mnist", "cacheSize": 7}}, 3)
    assert contents.model == Model("m", "2.0", (), "mnist")
    assert contents.settings.cache_size == 7


@pytest.mark.parametrize(
    "names", [{"0": "coat"}, {"0": "a", "1": "b", "2": "c", "3": "d"}, {"0": "a", "1": [], "2": "c"}, ["a", "b", "c"]]
)
def test_names_that_are_not_the_weights_are_refused(tmp_path: Path, names: Any) -> None:
    with pytest.raises(ModelError, match=r"index_to_name\.json"):
        model.read(unpacked(tmp_path, names=names), "m", "1.0", {}, 3)


@pytest.mark.parametrize("classes", [2, 3])
def test_golden_example_must_be_of_the_models_classes(tmp_path: Path, classes: int) -> None:
    unpacked(tmp_path)
    if classes == 3:
        assert model.read(tmp_path, "m", "1.0", {}, classes).golden.prediction == 2
    else:
        with pytest.raises(ModelError, match=r"expects class 2, and the weights have 2 classes"):
            model.read(tmp_path, "m", "1.0", {}, classes)


@pytest.mark.parametrize("change", [{"data": [0.5]}, {"data": [2.0] * PIXELS}, {"prediction": -1}, {"more": 1}])
def test_golden_example_that_cannot_be_used_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"golden_example\.json cannot be used: .*scripts/archive"):
        model.read(unpacked(tmp_path, golden={**GOLDEN, **change}), "m", "1.0", {}, 3)


def test_missing_golden_example_and_unknown_setting_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"golden_example\.json is missing"):
        model.read(tmp_path, "m", "1.0", {}, 3)
    with pytest.raises(ModelError, match=r"`handler` of model-config\.yaml.*`picture`"):
        model.read(unpacked(tmp_path), "m", "1.0", {"handler": {"picture": "plain"}}, 3)


@pytest.mark.parametrize(("probability", "is_right"), [(0.39, False), (0.4, True), (0.6, True), (0.61, False)])
def test_golden_example_is_checked_against_its_bounds(tmp_path: Path, probability: float, is_right: bool) -> None:
    golden = model.read(unpacked(tmp_path), "m", "1.0", {}, 3).golden
    probabilities = np.array([[0.0, 1 - probability, probability]], np.float32)
    if is_right:
        golden.check(probabilities + np.float32(1e-7) * (1 if probability < 0.5 else -1))
    else:
        with pytest.raises(ModelError, match=f"a probability of {probability:.4f}"):
            golden.check(probabilities)


def test_committed_golden_example_is_an_upright_stroke() -> None:
    golden = json.loads((ROOT / "handler" / "golden_example.json").read_text())
    image = np.array(golden["data"]).reshape(28, 28)
    assert image[4:24, 13:15].all()
    assert image.sum() == 40
    assert golden["prediction"] == 1


def answers(asked: Model, *requests: Request) -> list[Any]:
    read = batch.read(requests, asked)
    probabilities = np.tile(np.array([0.1, 0.2, 0.7], np.float32), (len(read.pixels), 1))
    return [json.loads(response.body) for response in read.responses(probabilities)]


def test_answers_have_the_name_of_their_class() -> None:
    named = Model("clothes", "1.0", ("coat", "bag", 'a "shoe", größer'))
    single = Request(json.dumps({"data": [0.5] * PIXELS}).encode(), "application/json")
    several = Request(json.dumps({"instances": [[0.5] * PIXELS, [7]]}).encode(), "application/json")
    tensor = {"shape": [1, PIXELS], "datatype": "FP32", "data": [0.5] * PIXELS}
    v2 = Request(json.dumps({"inputs": [tensor]}).encode(), "application/json")
    label = Request(json.dumps({"inputs": [tensor], "outputs": [{"name": "label"}]}).encode(), "application/json")
    one, v1, infer, alone = answers(named, single, several, v2, label)
    assert one == {"prediction": 2, "label": 'a "shoe", größer', "confidence": 0.7}
    assert v1["predictions"][0] == one
    assert v1["predictions"][1]["code"] == 422
    outputs = {output["name"]: output for output in infer["outputs"]}
    assert outputs["label"] == {"name": "label", "datatype": "BYTES", "shape": [1], "data": ['a "shoe", größer']}
    assert [output["name"] for output in alone["outputs"]] == ["label"]


def test_model_without_names_answers_as_ever() -> None:
    single = Request(json.dumps({"data": [0.5] * PIXELS}).encode(), "application/json")
    read = batch.read([single], Model("mnist", "1.0"))
    [response] = read.responses(np.array([[0.1, 0.2, 0.7]], np.float32))
    assert response.body == b'{"prediction": 2, "confidence": 0.700000}'


def test_plain_pictures_are_scaled_as_a_whole_and_digits_to_their_ink() -> None:
    levels = np.zeros((56, 56), np.uint8)
    levels[10:38, 10:38] = 200
    file = Request(saved(levels), "image/png")
    [plain] = batch.read([file], Model("m", "1.0", (), "plain")).pixels
    [digit] = batch.read([file], Model("m", "1.0", (), "mnist")).pixels
    expected = np.zeros((28, 28), np.float32)
    expected[5:19, 5:19] = 200 / 255
    np.testing.assert_allclose(plain.reshape(28, 28), expected, atol=1e-6)
    assert digit.reshape(28, 28)[5:23, 5:23].min() > 0.95


def detailed(asked: Model) -> bytes:
    body = json.dumps({"data": [1] * PIXELS}).encode()
    read = batch.read([Request(body, "application/json", details=True)], asked)
    [response] = read.responses(np.array([[0.1, 0.2, 0.7]], np.float32))
    return response.body


def test_details_name_all_classes_and_say_how_the_model_is_read() -> None:
    remarks = ("not calibrated", "there is no class for none of these")
    told = json.loads(detailed(Model("clothes", "1.0", ("coat", "bag", '"größer" <b>'), "plain", remarks)))
    assert told["label"] == '"größer" <b>'
    assert told["labels"] == ["coat", "bag", '"größer" <b>']
    assert told["probabilities"] == pytest.approx([0.1, 0.2, 0.7])
    assert told["model"] == {"name": "clothes", "version": "1.0", "pictures": "plain", "remarks": [*remarks]}


def test_details_of_digits_are_as_ever() -> None:
    assert detailed(Model("mnist", "1.0", pictures="mnist")) == (
        b'{"prediction": 2, "confidence": 0.700000, "probabilities":[0.1,0.2,0.7],"pixels":['
        + b",".join([b"255"] * PIXELS)
        + b'],"model":{"name":"mnist","version":"1.0"}}'
    )
