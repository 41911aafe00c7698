"""Images of a user's own: four IDX files to a model that reads them, and the files that cannot be used."""

import errno
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import requests
from classifier import runtime
from mnist_torchserve.commands import evaluate
from mnist_torchserve.contract import TIMEOUT
from mnist_torchserve.packaging import model_folder, own_data
from mnist_torchserve.service import Archive
from mnist_torchserve.training import campaign, data_card, dataset, export, idx, pictures, provenance
from mnist_torchserve.training.idx import DatasetError
from tests.support.fixtures import MakeServer
from tests.support.idx_files import Levels, shapes, write_idx, write_shapes

NAME = "shapes-of-a-test"
LABELS = ["across", "down", "square"]


Publish = Callable[[Path], object]


@pytest.fixture(scope="module")
def publish(tmp_path_factory: pytest.TempPathFactory) -> Publish:
    """Writes a model that was trained on three kinds of shapes into a folder."""
    folder = tmp_path_factory.mktemp("shapes")
    images = dataset.of_idx(NAME, write_shapes(folder / "idx", first=1), LABELS)
    configuration = own_data.configuration(images, 12, "light", "abstract", either_polarity=False)
    story = provenance.begin(folder / "work" / "story.json", configuration, images)
    outcomes = campaign.run([1], configuration, images, folder / "work", story)
    return lambda model: own_data.publish(outcomes, story, images, model / "archive", LABELS, "plain")


@pytest.fixture(scope="module")
def trained(publish: Publish, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of that model."""
    folder = tmp_path_factory.mktemp("models") / NAME
    publish(folder)
    return folder


@pytest.mark.parametrize(
    ("module", "step", "error"),
    [
        (export, "write_onnx", KeyboardInterrupt()),
        (model_folder, "write_golden", OSError(errno.ENOSPC, "No space left on device")),
        (data_card, "text", KeyboardInterrupt()),
    ],
    ids=["weights", "golden example", "card"],
)
def test_training_that_ends_while_it_writes_leaves_the_old_model_or_none(
    monkeypatch: pytest.MonkeyPatch,
    publish: Publish,
    tmp_path: Path,
    module: ModuleType,
    step: str,
    error: BaseException,
) -> None:
    old = {"archive/old.onnx": b"old", "model_card/old.png": b"old", "model_card.md": b"old", "notes.txt": b"mine"}
    for name, content in old.items():
        (tmp_path / "old" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "old" / name).write_bytes(content)

    def ends(*_: object) -> None:
        raise error

    monkeypatch.setattr(pictures, "draw", lambda *_: None)  # it takes a second
    monkeypatch.setattr(module, step, ends)
    for folder in (tmp_path / "old", tmp_path / "new"):
        with pytest.raises(type(error)):
            publish(folder)
    left = {path.relative_to(tmp_path / "old").as_posix(): path for path in (tmp_path / "old").rglob("*")}
    assert {name: path.read_bytes() for name, path in left.items() if path.is_file()} == old
    assert {name for name, path in left.items() if path.is_dir()} == {"archive", "model_card"}
    assert not (tmp_path / "new").exists()


def test_figures_of_mnist_are_not_measured_on_another_model(trained: Path) -> None:
    images, labels = shapes(9, 1)
    with pytest.raises(runtime.WeightsError, match=f"holds the weights of {NAME}, not of MNIST's model"):
        evaluate.evaluate(trained / "archive", idx.Split(images.reshape(-1, 784), labels))


def test_trained_model_is_served_with_its_names(trained: Path, make_server: MakeServer, tmp_path: Path) -> None:
    archive = Archive(tmp_path / f"{NAME}.mar", trained / "archive")
    archive.build()
    images, labels = shapes(60, 9)
    with make_server(tmp_path, load_models=f"{NAME}.mar").running() as server:
        sent = [{"data": (image / 255).ravel().tolist()} for image in images]
        answers = [requests.post(server.predict_url, json=each, timeout=TIMEOUT).json() for each in sent]
    right = [answer["prediction"] == label for answer, label in zip(answers, labels, strict=True)]
    assert np.mean(right) >= 0.9
    assert all(answer["label"] == LABELS[answer["prediction"]] for answer in answers)


def test_trained_model_has_a_card_with_pictures_and_a_golden_example(trained: Path) -> None:
    card = (trained / "model_card.md").read_text()
    assert "across, down, square" in card
    assert "500 images for training" in card
    assert len(list((trained / "model_card").glob("*.png"))) == 6
    story = runtime.load(trained / "archive", None).metadata
    assert all(f"{remark[0].upper()}{remark[1:]}.\n" in card for remark in story["remarks"])
    golden = json.loads((trained / "archive" / "golden_example.json").read_text())
    pixels = np.array([golden["data"]], np.float32)
    probabilities = runtime.load(trained / "archive", None).probabilities(pixels)
    assert probabilities.argmax() == golden["prediction"]
    on_torch = runtime.TorchRuntime(trained / "archive" / f"{NAME}.pt", "cpu").probabilities(pixels)
    np.testing.assert_allclose(on_torch, probabilities, atol=1e-5)


@pytest.mark.parametrize(
    "spelling", ["train-images-idx3-ubyte", "train-images.idx3-ubyte", "my-train-images-idx3-ubyte.gz"]
)
def test_files_are_found_under_their_usual_names(tmp_path: Path, spelling: str) -> None:
    images, labels = shapes(9, 1)
    write_idx(tmp_path / spelling, images)
    write_idx(tmp_path / spelling.replace("images", "labels").replace("idx3", "idx1"), labels)
    found = idx.read(tmp_path, "train")
    assert np.array_equal(found.pixels.reshape(images.shape), images)
    assert np.array_equal(idx.read(tmp_path, "train", transpose=True).pixels[0].reshape(28, 28), images[0].T)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": np.zeros((9, 32, 32), np.uint8)}, "28×28 pixels in .*, got 32×32"),
        ({"labels": np.zeros(8, np.uint8)}, "got 8 in .* for 9 images"),
        ({"labels": np.arange(100, 109).astype(np.uint8)}, "2 to 100 classes, got labels from 100 to 108"),
        ({"labels": np.array([0, 1, 3, 0, 1, 3, 0, 1, 3], np.uint8)}, "every label from 0 to 3, got none of 2"),
        ({"labels": np.zeros(9, np.uint8)}, "2 to 100 classes"),
        ({"images": np.zeros((0, 28, 28), np.uint8), "labels": np.zeros(0, np.uint8)}, "got none"),
    ],
)
def test_bad_data_gets_one_sentence(tmp_path: Path, change: dict[str, Levels], words: str) -> None:
    images, labels = shapes(9, 1)
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", change.get("images", images))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", change.get("labels", labels))
    with pytest.raises(DatasetError, match=words) as refusal:
        dataset.of_idx("x", tmp_path)
    assert "\n" not in str(refusal.value)


def test_damaged_files_and_wrong_labels_are_named(tmp_path: Path) -> None:
    write_shapes(tmp_path)
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    whole = labels.read_bytes()
    write_idx(labels, np.full(150, 9, np.uint8))
    with pytest.raises(DatasetError, match="Expected labels from 0 to 2, as in the training images, got 9 in the test"):
        dataset.of_idx("x", tmp_path)
    labels.write_bytes(gzip.compress(gzip.decompress(whole) + b"more"))
    with pytest.raises(DatasetError, match=r"t10k-labels-idx1-ubyte\.gz has 162 bytes, but its header says 158"):
        dataset.of_idx("x", tmp_path)
    labels.write_bytes(whole)
    labels.write_bytes(labels.read_bytes()[:20])
    with pytest.raises(DatasetError, match=r"t10k-labels-idx1-ubyte\.gz cannot be read"):
        dataset.of_idx("x", tmp_path)
    write_idx(tmp_path / "other-train-images-idx3-ubyte", shapes(9, 1)[0])
    with pytest.raises(DatasetError, match="files of one set"):
        dataset.of_idx("x", tmp_path)


@pytest.mark.parametrize(
    "others",
    [
        "{part}-{kind}-idx{n}-ubyte.gz",
        "{part}-{kind}.idx{n}-ubyte",
        "{part}-{kind}.idx{n}-ubyte.gz",
        "other-{part}-{kind}-idx{n}-ubyte",
    ],
)
@pytest.mark.parametrize("parts", [("train",), ("t10k",), ("test",), ("train", "t10k"), ("validation",)])
def test_two_sets_in_a_folder_are_refused(tmp_path: Path, others: str, parts: tuple[str, ...]) -> None:
    images, labels = shapes(9, 1)
    for part in ("train", "t10k", "val"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", images)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", labels)
    images, labels = shapes(9, 5)
    for part in parts:
        write_idx(tmp_path / others.format(part=part, kind="images", n=3), images)
        write_idx(tmp_path / others.format(part=part, kind="labels", n=1), labels)
    read = "train" if "train" in parts else "validation" if "validation" in parts else "test"
    with pytest.raises(DatasetError, match=r"the files of one set in .*, got those of several: .*-ubyte") as refusal:
        idx.read(tmp_path, read)
    assert "\n" not in str(refusal.value)


def test_a_set_that_lies_there_gzipped_and_not_is_one(tmp_path: Path) -> None:
    write_shapes(tmp_path)
    for file in list(tmp_path.iterdir()):
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        file.with_name(file.name.removesuffix(".gz")).write_bytes(content)
        file.with_name(f"{file.name.removesuffix('.gz')}.gz").write_bytes(gzip.compress(content))
    (tmp_path / "._train-images-idx3-ubyte").write_bytes(b"of a Mac's own")
    assert len(list(tmp_path.iterdir())) == 9
    assert len(dataset.of_idx("x", tmp_path).test.labels) == 150


@pytest.mark.parametrize("part", ["train", "t10k"])
@pytest.mark.parametrize("level", [0, 1, 255])
def test_images_that_are_all_the_same_are_refused(tmp_path: Path, part: str, level: int) -> None:
    write_shapes(tmp_path)
    write_idx(
        tmp_path / f"{part}-images-idx3-ubyte", np.full((600 if part == "train" else 150, 28, 28), level, np.uint8)
    )
    with pytest.raises(DatasetError, match=rf"different images in .*{part}-images-idx3-ubyte, got the same .*0 times"):
        dataset.of_idx("x", tmp_path)


def test_classes_that_no_image_shows_are_named(tmp_path: Path) -> None:
    images = dataset.of_idx("x", write_shapes(tmp_path), LABELS)
    assert own_data.absent(images) == []
    kept = images.test.labels == 1
    some = replace(images, test=idx.Split(images.test.pixels[kept], images.test.labels[kept]))
    assert own_data.absent(some) == ["no test image shows class across or square"]
    kept = images.train.labels < 2
    some = replace(images, train=idx.Split(images.train.pixels[kept], images.train.labels[kept]))
    assert own_data.absent(some) == ["no training image shows class square"]
    many = replace(images, labels=tuple(map(str, range(100))))
    assert own_data.absent(many)[1] == "no test image shows class 3 or 4 or 5 or 6 or 7, nor 92 others"


def test_validation_is_the_same_each_time_and_apart(tmp_path: Path) -> None:
    one, other = (dataset.of_idx("x", write_shapes(tmp_path, first=first)) for first in (0, 1))
    assert one.sha256 == other.sha256, "labels from 1 on are those from 0 on"
    assert [len(split.labels) for split in (one.train, one.validation, one.test)] == [500, 100, 150]
    rows = {image.tobytes() for image in one.train.pixels}
    assert not rows & {image.tobytes() for image in one.validation.pixels}
