"""Creates `.venv`, the environment with the locked packages, if needed, and runs a command in it.

Any Python 3 must be able to read this file and the scripts that call it, since they tell users of an unsuitable Python
what to do. The whole package uses only the standard library.
"""

import contextlib
import locale
import os
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)


def run(verb: str) -> None:
    """Become `mnist_torchserve.commands VERB` in `.venv`, which is first created, completed or repaired if needed.

    Raises:
        SystemExit: there is no suitable Python, no space, or no access to the packages. The message says which.
    """
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        _leave_for_another_python()
    _read_paths_as_utf8()
    from .environment import Environment, group_of

    try:
        python = Environment().ready(group_of(verb, sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("Interrupted: the next start goes on with the environment.")
    # -P: do not run code from the current folder.
    os.execv(python, [python, "-P", "-m", "mnist_torchserve.commands", verb] + sys.argv[1:])


def _read_paths_as_utf8() -> None:
    """Give Python a locale in which it can read the path of this folder, whatever letters it has."""
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_CTYPE, "")
    if "utf" not in locale.nl_langinfo(locale.CODESET).lower():
        os.environ["LC_ALL"] = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"


def _leave_for_another_python() -> None:
    versions = ["{}.{}".format(OLDEST[0], minor) for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    found = [python for python in (_runnable("python" + version) for version in versions) if python]
    python = found[0] if found else _of_uv()
    if python is None:
        raise SystemExit(
            "Python 3.11, 3.12 or 3.13 is needed; python3 is {}.{} ({}), and there is no other on the PATH. ".format(
                sys.version_info[0], sys.version_info[1], sys.executable
            )
            + "This brings one, without touching the system's: `{}`. Then run this again.".format(_remedy())
        )
    os.execv(python, [python] + sys.argv)


def _runnable(name):  # type: (str) -> str | None
    """Return the path of this program if it is a Python that starts. A version manager's may not start."""
    path = shutil.which(name)
    return path if path and _output([path, "-c", "print(1)"]) else None


def _of_uv():  # type: () -> str | None
    """Return a Python on this machine that uv knows, even if it is not on the PATH."""
    uv = shutil.which("uv")
    wanted = ">={}.{},<{}.{}".format(OLDEST[0], OLDEST[1], NEWEST[0], NEWEST[1] + 1)
    return _output([uv, "python", "find", "--no-python-downloads", "--no-project", wanted]) if uv else None


def _remedy():  # type: () -> str
    if shutil.which("uv"):
        return "uv python install 3.13"
    if sys.platform == "darwin" and shutil.which("brew"):
        return "brew install python@3.13"
    return "curl -LsSf https://astral.sh/uv/install.sh | sh && ~/.local/bin/uv python install 3.13"


def _output(command):  # type: (list[str]) -> str | None
    """Return what a command prints, or None if it fails."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return None
    return done.stdout.decode().strip() if done.returncode == 0 else None
