"""What an archive says about its model, besides the weights: names of classes, how pictures are read, a golden example.

The files are those that TorchServe's users know: `index_to_name.json`, and the section `handler` of model-config.yaml.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from .types import PIXELS, Model, Probabilities

LABELS_FILE = "index_to_name.json"
GOLDEN_FILE = "golden_example.json"

_Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ModelError(RuntimeError):
    """The archive does not match the weights. The message says what does not match, and where."""


class HandlerSettings(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The section `handler` of model-config.yaml."""

    cache_size: int = 0  # responses
    metrics_period: float = 1  # s
    pictures: Literal["mnist", "plain"] = "plain"


class GoldenExample(msgspec.Struct, forbid_unknown_fields=True):
    """An image with the expected answer: a class, and the bounds of that class's probability."""

    data: Annotated[list[_Probability], msgspec.Meta(min_length=PIXELS, max_length=PIXELS)]
    prediction: Annotated[int, msgspec.Meta(ge=0)]
    confidence: tuple[_Probability, _Probability]  # from, to

    def body(self) -> bytes:
        """The image as a client sends it."""
        return msgspec.json.encode({"data": self.data})

    def check(self, probabilities: Probabilities) -> None:
        """Compare with the model's probabilities for the image, (1, K).

        Raises:
            ModelError: they do not match.
        """
        found = float(probabilities[0, self.prediction])
        least, most = self.confidence
        if not least <= found <= most:
            raise ModelError(
                f"The weights give the golden example of class {self.prediction} a probability of {found:.4f}, where "
                f"{GOLDEN_FILE} expects {least:.4f} to {most:.4f}. Build the archive again with `scripts/archive`, "
                "from weights and an example that belong together."
            )


class Contents(NamedTuple):
    """The contents of the files."""

    model: Model
    settings: HandlerSettings
    golden: GoldenExample


def read(
    model_dir: Path, name: str, version: str, config: Mapping[str, Any], classes: int, remarks: Sequence[str] = ()
) -> Contents:
    """Read the files of an archive that has been unpacked in `model_dir`.

    Args:
        model_dir: the folder.
        name: the model's name in its answers.
        version: the model's version in its answers.
        config: the contents of model-config.yaml.
        classes: K, the number of classes in the weights.
        remarks: what the weights' file says of their confidence.

    Raises:
        ModelError: a file is missing or invalid, or does not match K classes.
    """
    try:
        settings = msgspec.convert(config.get("handler", {}), HandlerSettings)
    except msgspec.ValidationError as error:
        raise ModelError(f"The section `handler` of model-config.yaml cannot be used: {error}.") from None
    golden: GoldenExample = _read(model_dir / GOLDEN_FILE, GoldenExample)
    if golden.prediction >= classes:
        raise ModelError(f"{GOLDEN_FILE} expects class {golden.prediction}, and the weights have {classes} classes.")
    labels = _labels(model_dir / LABELS_FILE, classes)
    return Contents(Model(name, version, labels, settings.pictures, tuple(remarks)), settings, golden)


def _labels(path: Path, classes: int) -> tuple[str, ...]:
    """Return the names of classes 0 to K - 1, or nothing if there is no such file."""
    if not path.is_file():
        return ()
    names: dict[str, str | list[str]] = _read(path, dict[str, str | list[str]])
    try:
        found = [names[str(index)] for index in range(classes)]
        labels = tuple(each if isinstance(each, str) else each[-1] for each in found)  # the last, as TorchServe does
    except LookupError:
        labels = ()
    if not labels or len(names) != classes:
        raise ModelError(f'{path.name} must name the classes "0" to "{classes - 1}", and no others, as the weights do.')
    return labels


def _read(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing from the archive: build it again with `scripts/archive`.") from None
    except msgspec.MsgspecError as error:
        raise ModelError(f"{path} cannot be used: {error}. Build the archive again with `scripts/archive`.") from None
