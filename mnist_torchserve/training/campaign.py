"""Trains all seeds at the same time, each in one process with one thread, and chooses among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mnist_torchserve import processes
from . import evaluation, export
from .dataset import Dataset
from .evaluation import Evaluation, Figures
from .fit import Configuration, Epoch, Training


@dataclass(frozen=True)
class TrainedSeed:
    """One seed after training, export to `folder`, and evaluation on the test digits."""

    seed: int
    folder: Path
    temperature: float
    validation_nll: float
    history: list[Epoch]
    evaluation: Evaluation

    @property
    def figures(self) -> Figures:
        """The figures of the evaluation, and those that only the training knows."""
        minutes = sum(epoch.seconds for epoch in self.history) / 60
        mine = {"minutes": minutes, "temperature": self.temperature, "validation_nll": self.validation_nll}
        return {**self.evaluation.figures, **mine}


def run(
    seeds: Sequence[int], configuration: Configuration, dataset: Dataset, folder: Path, story: dict[str, Any]
) -> list[TrainedSeed]:
    """Train every seed, from where an earlier run in `folder` stopped. Return the outcomes in the seeds' order."""
    jobs = [(seed, configuration, dataset, folder / f"seed-{seed}", story) for seed in seeds]
    with processes.pool(len(seeds)) as pool:
        return pool.starmap(_one, jobs, chunksize=1)


def choose(outcomes: Sequence[TrainedSeed]) -> TrainedSeed:
    """Return the outcome that gave the validation digits the highest likelihood. The test digits play no part."""
    return min(outcomes, key=lambda outcome: outcome.validation_nll)


def publish(
    chosen: TrainedSeed, outcomes: Sequence[TrainedSeed], story: dict[str, Any], model_dir: Path
) -> dict[str, Any]:
    """Write the chosen network with the record of its training into `model_dir`, and return that record."""
    network, _ = export.read_torch(chosen.folder)
    story = {
        **story,
        "seed": chosen.seed,
        "temperature": chosen.temperature,
        "metrics": chosen.figures,
        "seeds": {str(outcome.seed): outcome.figures for outcome in outcomes},
    }
    export.write(network, story, model_dir)
    return story


def _one(seed: int, configuration: Configuration, dataset: Dataset, folder: Path, story: dict[str, Any]) -> TrainedSeed:
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)

    def report(history: list[Epoch]) -> None:
        last, left = history[-1], configuration.epochs - len(history)
        minutes = left * sum(epoch.seconds for epoch in history[-5:]) / len(history[-5:]) / 60
        print(
            f"seed {seed}  epoch {len(history):3}/{configuration.epochs}  loss {last.loss:.4f}  "
            f"validation: NLL {last.nll:.4f}, error {last.error:.2%}  {minutes:4.1f} min left",
            flush=True,
        )

    fitted = Training(seed, configuration, dataset).run(folder / "checkpoint.pt", report)
    exported = folder / "exported"
    exported.mkdir(exist_ok=True)
    export.write(fitted.network, {**story, "seed": seed}, exported)
    measured = evaluation.evaluate(exported, dataset.test)
    return TrainedSeed(seed, exported, fitted.temperature, fitted.validation_nll, fitted.history, measured)
