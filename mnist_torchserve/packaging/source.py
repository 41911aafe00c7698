"""A user's network as code: a class in a file or a package, found, imported and constructed."""

import importlib
import importlib.util
import inspect
import os
import socket
import sys
import urllib.error
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

import requests
from torch import nn
from mnist_torchserve.project import ROOT
from .errors import PackagingError, one_line

# Where a package is installed under another name than it is imported by.
_DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "hydra": "hydra-core",
    "PIL": "pillow",
    "pytorch_lightning": "pytorch-lightning",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
# This project's own code, which lies in the folder if a user's file is in the checkout.
_OURS = tuple(ROOT / name for name in ("handler", "mnist_torchserve", "scripts"))
_PINNED = ("torch", "numpy")  # which another package must not replace
# Beside a torch without CUDA, torchvision and others must be without it too. scripts/bootstrap reads the same variable.
_INDEX_WITHOUT_CUDA = os.environ.get("PYTORCH_INDEX_URL") or "https://download.pytorch.org/whl/cpu"
_BELOW_MAIN = 'below `if __name__ == "__main__":`'
_SUBCLASS = (
    "If JSON cannot express an argument, such as an object, write a subclass that passes it on and needs no arguments "
    "itself, and name it with --model-class."
)
_NETWORK_ERRORS = (urllib.error.URLError, requests.RequestException, ConnectionError, socket.gaierror, TimeoutError)


@dataclass(frozen=True)
class Source:
    """Where a class is: a module, the folder it is imported from, and the class's name and file if they are said."""

    module: str
    folder: Path
    class_name: str | None
    file: Path | None = None

    @classmethod
    def of_file(cls, path: Path, class_name: str | None) -> "Source":
        """A class in a file; in a package, if the file lies in one.

        Raises:
            PackagingError: there is no such file.
        """
        if path.suffix != ".py" or not path.is_file():
            raise PackagingError(f"Expected a Python file with the model's class, got {path}.")
        folder, module = path.resolve().parent, path.stem
        while (folder / "__init__.py").is_file():
            folder, module = folder.parent, f"{folder.name}.{module}"
        return cls(module, folder, class_name, path.resolve())

    @classmethod
    def of_name(cls, name: str, folder: Path) -> "Source":
        """A class named `package.module:Class`, imported from `folder` or from the environment.

        Raises:
            PackagingError: the name has another form.
        """
        module, colon, class_name = name.partition(":")
        if not colon or not all(part.isidentifier() for part in [*module.split("."), class_name]):
            raise PackagingError(f"Expected a class as my_project.model:MyModel, got {name}.")
        return cls(module, folder.resolve(), class_name)

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Within, what lies in the folder can be imported, as when Python runs a file in it."""
        finder = _Beside(self.folder)
        sys.meta_path.insert(0, finder)
        arguments, sys.argv = sys.argv, [self.module]  # those of this command are none of the file's business
        known = set(sys.modules)
        try:
            yield
        finally:
            sys.argv = arguments
            sys.meta_path.remove(finder)
            for name in self._modules(set(sys.modules) - known):
                del sys.modules[name]

    @contextmanager
    def anew(self) -> Iterator[None]:
        """Within `importable`: what lies in the folder is imported once more, as another process does."""
        loaded = {name: sys.modules.pop(name) for name in self._modules(sys.modules)}
        try:
            yield
        finally:
            sys.modules.update(loaded)

    def load(self) -> type[nn.Module]:
        """Import the class.

        Raises:
            PackagingError: it cannot be imported, is not there, or is one of several.
        """
        module = self._import()
        if any(Path(str(module.__file__)).is_relative_to(ours) for ours in _OURS):
            raise PackagingError(
                f"{module.__file__} lies among this project's own code, which no archive gets from there: move it to "
                "another folder."
            )
        if self.file is not None and Path(str(module.__file__)) != self.file:
            raise PackagingError(
                f"Another module is named {self.module}, {module.__file__ or 'of Python itself'}: "
                f"rename {self.file.name}."
            )
        if self.class_name is not None:
            found = getattr(module, self.class_name, None)
            if found is None or not _is_network(found):
                raise PackagingError(
                    f"{self.module} has no nn.Module class named {self.class_name}: it has "
                    f"{_listed(_networks(module))}."
                )
            return found
        networks = _networks(module)
        if len(networks) != 1:
            raise PackagingError(
                f"Expected one nn.Module class in {self.module}, got {_listed(networks)}: name it with --model-class."
            )
        return networks[0]

    def files(self) -> dict[str, Path]:
        """The code that the class needs of what lies in the folder, by its place there."""
        found = {}
        for name in self._modules(sys.modules):
            file = Path(str(sys.modules[name].__file__))
            found[file.relative_to(self.folder).as_posix()] = file
            for parent in file.relative_to(self.folder).parents[:-1]:
                if (package := self.folder / parent / "__init__.py").is_file():
                    found[package.relative_to(self.folder).as_posix()] = package
        return found

    def _modules(self, names: Any) -> list[str]:
        """Those of some imported modules that come from the folder."""
        files = {name: getattr(sys.modules.get(name), "__file__", None) for name in list(names)}
        return [
            name
            for name, file in files.items()
            if file
            and Path(file).is_relative_to(self.folder)
            and "site-packages" not in Path(file).parts
            and not any(Path(file).is_relative_to(ours) for ours in _OURS)
        ]

    def _import(self) -> ModuleType:
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            raise self._missing(error) from None
        except SystemExit:
            raise PackagingError(
                f"{self.module} runs a program when it is imported, and the program ended: put it {_BELOW_MAIN}."
            ) from None
        except (ImportError, NameError, SyntaxError) as error:
            raise PackagingError(f"{self.module} cannot be imported: {one_line(error)}.") from None
        except Exception as error:  # whatever the file does
            raise PackagingError(
                f"{self.module} cannot be imported: {one_line(error)}. If it runs a program, such as the training, put "
                f"it {_BELOW_MAIN}."
            ) from None

    def _missing(self, error: ModuleNotFoundError) -> PackagingError:
        name = error.name or str(error)
        top = name.partition(".")[0]
        if name == self.module or self.module.startswith(f"{name}."):
            return PackagingError(f"There is no module {self.module} in {self.folder} or in the environment.")
        if (self.folder / top).is_dir() or (self.folder / f"{top}.py").is_file() or importlib.util.find_spec(top):
            return PackagingError(f"{self.module} imports `{name}`, which is not in {top}.")
        return PackagingError(missing_package(self.module, top))


def missing_package(importer: str, name: str) -> str:
    """That a package is missing, and the line that installs it."""
    return (
        f"{importer} imports `{name}`, which is not in this environment. If it is a package, install it with "
        f"`{install_line(name)}`; if it is your own code, put it beside the file."
    )


def install_line(name: str) -> str:
    """The line that installs a package in this environment without changing the others."""
    pins = " ".join(f"{package}=={version(package)}" for package in _PINNED)
    index = f" --extra-index-url {_INDEX_WITHOUT_CUDA}" if version("torch").endswith("+cpu") else ""
    return f"{sys.executable} -m pip install {_DISTRIBUTIONS.get(name, name)} {pins}{index}"


def construct(kind: type[nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    """An instance of a network's class, in evaluation mode and in float32.

    Raises:
        PackagingError: its constructor needs other arguments, the internet, or a missing package.
    """
    try:
        inspect.signature(kind).bind(**arguments)
    except TypeError as error:
        raise PackagingError(
            f"{kind.__name__}{inspect.signature(kind)} cannot be constructed with --model-args {dict(arguments)}: "
            f"{error}. {_SUBCLASS}"
        ) from None
    try:
        return kind(**arguments).eval().float()
    except ModuleNotFoundError as error:
        raise PackagingError(missing_package(kind.__name__, str(error.name).partition(".")[0])) from None
    except Exception as error:  # whatever the constructor does
        if any(isinstance(cause, _NETWORK_ERRORS) for cause in _causes(error)):
            raise PackagingError(
                f"The constructor of {kind.__name__} tries to download something and fails: {one_line(error)}. The "
                "weights come from --weights: turn the download off, as with --model-args '{\"pretrained\": false}'."
            ) from None
        way_out = f" {_SUBCLASS}" if arguments else ""
        if isinstance(error, FileNotFoundError):
            way_out = f" The current folder is {Path.cwd()}: run the command where the constructor expects to be."
        raise PackagingError(
            f"{kind.__name__} cannot be constructed with {dict(arguments)}: {one_line(error)}.{way_out}"
        ) from None


class _Beside(MetaPathFinder):
    """Finds modules in a folder, before those of the environment."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [self._folder], target) if path is None else None


def _is_network(value: Any) -> TypeGuard[type[nn.Module]]:
    return isinstance(value, type) and issubclass(value, nn.Module)


def _networks(module: ModuleType) -> list[type[nn.Module]]:
    """The network classes of a module: its own, or those that it takes from elsewhere but torch."""
    found = list(dict.fromkeys(value for value in vars(module).values() if _is_network(value)))
    own = [value for value in found if value.__module__ == module.__name__]
    return own or [value for value in found if not value.__module__.startswith("torch.")]


def _listed(networks: Sequence[type[nn.Module]]) -> str:
    return ", ".join(network.__name__ for network in networks) or "none"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
