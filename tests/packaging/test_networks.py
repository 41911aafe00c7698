"""Networks as people write them: each packed, all served by one TorchServe, each answering as it does by itself."""

import zipfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pytest
import requests
from classifier.types import Pixels, Probabilities
from mnist_torchserve.contract import TIMEOUT
from mnist_torchserve.packaging.package import package
from mnist_torchserve.service import Archive, TorchServe
from tests.packaging import networks
from tests.packaging.networks import NETWORKS
from tests.support.fixtures import MakeServer, Sample


class Packed(NamedTuple):
    """A network in its archive, what was said while it was packed, and what it says itself."""

    archive: Archive
    said: str
    itself: Callable[[Pixels], Probabilities]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Packed]:
    folder = tmp_path_factory.mktemp("networks")
    store = folder / "store"
    store.mkdir()
    found = {}
    for name in NETWORKS:
        brought, itself = networks.write(name, folder / name)
        said: list[str] = []
        archive = Archive(store / f"{name}.mar", folder / name / "packed" / "archive")
        package(brought, archive.contents, said.append)
        config = archive.contents / "model-config.yaml"
        config.write_text(config.read_text().replace("Workers: 2", "Workers: 1"))
        archive.build()
        found[name] = Packed(archive, "\n".join(said), itself)
    return found


@pytest.fixture(scope="module")
def server(packed: dict[str, Packed], make_server: MakeServer) -> Iterator[TorchServe]:
    store = next(iter(packed.values())).archive.path.parent
    with make_server(store, load_models="all").running() as running:
        yield running


@pytest.fixture(scope="module")
def images(sample: Sample) -> Pixels:
    """Real digits, dim ones and noise (12, 784)."""
    return np.concatenate([sample[0][:4], sample[0][4:8] * 0.3, np.random.default_rng(5).random((4, 784), np.float32)])


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_over_http_are_the_networks_own(
    packed: dict[str, Packed], server: TorchServe, images: Pixels, name: str
) -> None:
    url = f"{server.inference_url}/predictions/{name}"
    expected = packed[name].itself(images)
    labels = NETWORKS[name].said.get("labels")
    alone = [requests.post(url, json={"data": image.tolist()}, timeout=TIMEOUT).json() for image in images]
    several = requests.post(url, json={"instances": images.tolist()}, timeout=TIMEOUT).json()["predictions"]
    for answer, probabilities in zip(alone + several, np.concatenate([expected] * 2), strict=True):
        assert answer["confidence"] == pytest.approx(float(probabilities.max()), abs=1e-4)
        assert probabilities[answer["prediction"]] == pytest.approx(float(probabilities.max()), abs=1e-4)
        assert answer.get("label") == (labels[answer["prediction"]] if labels else None)
    again = [requests.post(url, json={"data": images[0].tolist()}, timeout=TIMEOUT).json() for _ in range(2)]
    assert again[0] == again[1], "neither dropout nor batch normalization learns"


def test_every_model_describes_itself(packed: dict[str, Packed], server: TorchServe) -> None:
    for name in packed:
        url = f"{server.management_url}/models/{name}?customized=true"
        [answer] = requests.get(url, timeout=TIMEOUT).json()
        description = answer["customizedMetadata"]
        assert description["name"] == name
        assert description["classes"] == list(range(packed[name].itself(np.zeros((1, 784), np.float32)).shape[1]))
        assert "not calibrated" in description["output"]["confidence"]
        assert description["runtime"] == ("onnxruntime-cpu" if NETWORKS[name].exported else "torch-cpu")


def test_image_without_contrast_is_refused_alone(packed: dict[str, Packed], server: TorchServe) -> None:
    assert "no answer to some images of one grey value" in packed["standardises"].said
    black, other = [0.0] * 784, [0.5, 0.2] * 392
    url = f"{server.inference_url}/predictions/standardises"
    assert requests.post(url, json={"data": black}, timeout=TIMEOUT).status_code == 422
    first, second = requests.post(url, json={"instances": [black, other]}, timeout=TIMEOUT).json()["predictions"]
    assert first["code"] == 422
    assert second == requests.post(url, json={"data": other}, timeout=TIMEOUT).json()


def test_details_name_the_classes_and_say_what_the_model_lacks(server: TorchServe) -> None:
    for name, written in NETWORKS.items():
        url = f"{server.inference_url}/models/{name}/invoke?details=true"
        answer = requests.post(url, json={"data": [0.5, 0.2] * 392}, timeout=TIMEOUT).json()
        assert answer.get("labels") == written.said.get("labels")
        assert answer["model"]["pictures"] == "plain"
        assert answer["model"]["remarks"][0] == "not calibrated"
        assert "no class for none of these" in answer["model"]["remarks"][1]


@pytest.mark.parametrize("name", NETWORKS)
def test_packing_says_what_it_found_and_leaves_the_code_out(packed: dict[str, Packed], name: str) -> None:
    _, said, itself = packed[name]
    written = NETWORKS[name]
    classes = itself(np.zeros((1, 784), np.float32)).shape[1]
    taken = f"(B, {', '.join(map(str, written.taken))})"
    first = said.splitlines()[1 if "removed the prefix" in said.splitlines()[0] else 0]
    assert taken in first or "left out" in first
    assert f"gives {written.means} of {classes} classes" in said
    with zipfile.ZipFile(packed[name].archive.path) as built:
        names = built.namelist()
        contents = b"".join(built.read(each) for each in names if each.startswith(f"{name}.") and written.exported)
    assert (f"{name}.onnx" in names) == written.exported
    assert (f"{name}.pt2" in names) == written.exported
    assert (f"{name}.py" in names) == (not written.exported)
    assert str(packed[name].archive.contents.parent.parent).encode() not in contents, "no path of this machine"
    assert "deviceType" not in (packed[name].archive.contents / "model-config.yaml").read_text(), "a GPU, if any"
    if not written.exported:
        assert ("helper.py" in names) == bool(written.beside)
        assert "cannot be exported to ONNX" in said
        assert "ms for an image" in said
