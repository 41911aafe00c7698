"""Which models an image serves: `python -m mnist_torchserve.image torchserve awesome,fashion --into FOLDER`.

Runs while an image is built. Writes config.properties with these models in `load_models` into the folder, and for
TorchServe their archives. `/predict` and health mean the first. Without names, those that config.properties lists.
Exit code 1: a name cannot be one, or there is no such model; the message says which.
"""

import argparse
import re
import shutil
import sys
from pathlib import Path

from mnist_torchserve.daemon import ServiceError
from mnist_torchserve.project import MODEL_STORE
from mnist_torchserve.service import CONFIG, Archive, properties, read_properties


def main() -> int:
    """Write the files; return the exit code."""
    parser = argparse.ArgumentParser(prog="image", description=__doc__.splitlines()[0])
    parser.add_argument("service", choices=("torchserve", "gateway"))
    parser.add_argument("models", help="names, separated by commas; empty for those in config.properties")
    parser.add_argument("--into", type=Path, required=True, help="folder for the files")
    options = parser.parse_args()
    try:
        archives = chosen(options.models)
        options.into.mkdir(exist_ok=True)
        write_properties([archive.name for archive in archives], options.into / CONFIG.name)
        if options.service == "torchserve":
            copy(archives, options.into / MODEL_STORE.name)
    except ServiceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def chosen(names: str) -> list[Archive]:
    """The models with these names, or else those that config.properties lists.

    Raises:
        ServiceError: one of them cannot be a name, or there are none.
    """
    if names.strip():
        found = [Archive.named(name.strip().removesuffix(".mar")) for name in names.split(",")]
        return list({archive.name: archive for archive in found}.values())
    settings = read_properties()
    if settings.get("load_models", "").strip().lower() in ("", "all", "none"):
        raise ServiceError(
            "Expected the names of models, which the gateway's routes need: give them as `--build-arg MODELS=…`, or in "
            f"`load_models` of {CONFIG.name}."
        )
    return [Archive(MODEL_STORE / f"{name}.mar") for name in properties.models(settings, MODEL_STORE)]


def write_properties(models: list[str], file: Path) -> None:
    """Write config.properties with these models, and otherwise as it is."""
    line = f"load_models={','.join(f'{model}.mar' for model in models)}"
    text, found = re.subn(r"(?m)^[ \t]*load_models[ \t]*=.*$", line, CONFIG.read_text())
    file.write_text(text if found else f"{text}\n{line}\n")


def copy(archives: list[Archive], folder: Path) -> None:
    """Copy the archives, up to date, into a folder. ServiceError if there is no such model."""
    folder.mkdir(exist_ok=True)
    for archive in archives:
        archive.build_if_outdated()
        shutil.copyfile(archive.path, folder / archive.path.name)  # which any user may read


if __name__ == "__main__":
    sys.exit(main())
