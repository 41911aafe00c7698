"""A network that cannot be exported: its weights and its code, to be run in PyTorch."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from classifier.types import Pixels, Probabilities
from mnist_torchserve.project import ROOT
from mnist_torchserve.training import export
from . import model_folder
from .errors import PackagingError
from .export import TOLERANCE
from .source import Source

# What a worker does, in the folder that TorchServe unpacks: answers, ms for one image, MiB of memory.
_ALONE = """
import resource, sys, time
from pathlib import Path
import numpy as np
from classifier import runtime
loaded = runtime.load(Path("."), None)
pixels = np.load(sys.argv[1])
np.save(sys.argv[2], loaded.probabilities(pixels))
times = []
for row in pixels:
    began = time.perf_counter()
    loaded.probabilities(row[None])
    times.append(time.perf_counter() - began)
print(sorted(times)[len(times) // 2] * 1000, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def write(
    folder: Path, network: nn.Module, source: Source, metadata: dict[str, Any], images: Pixels, expected: Probabilities
) -> str:
    """Write weights and code into `folder`, and try them as a worker would; return what this costs, as a sentence.

    Raises:
        PackagingError: the code does not run alone, or gives different probabilities there.
    """
    files = source.files()
    ours = {path.name for path in (ROOT / "handler").iterdir()}
    if taken := sorted({place.partition("/")[0] for place in files} & ours):
        raise PackagingError(f"The archive already contains {taken[0]}: rename yours.")
    export.save({"state_dict": network.state_dict(), "metadata": metadata}, folder / f"{metadata['name']}.pt")
    model_folder.write_code(folder, files)
    with tempfile.TemporaryDirectory() as aside:
        asked, answered = Path(aside) / "images.npy", Path(aside) / "probabilities.npy"
        np.save(asked, images)
        variables = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", _ALONE, asked, answered], cwd=folder, env=variables, capture_output=True, text=True
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise PackagingError(f"The code does not run with only the archive's files: {said[-1] if said else ''}")
        difference = float(np.abs(np.load(answered) - expected).max())
    if not difference <= TOLERANCE:
        raise PackagingError(
            f"With only the archive's files, the code gives different probabilities: one differs by {difference:.2g}, "
            f"and at most {TOLERANCE:g} is allowed."
        )
    milliseconds, memory = map(float, done.stdout.split()[-2:])
    code = ", ".join(sorted(files)) or "none: it comes from the environment"
    return (
        f"Measured here: {milliseconds:.2f} ms for an image, {memory / 1024:.0f} MiB of memory for a worker. The "
        f"archive contains the code ({code}). Every worker runs it and needs the packages that it imports."
    )
