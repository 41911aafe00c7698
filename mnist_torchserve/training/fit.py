"""Trains one network: digits and outliers in, a folded, averaged and calibrated network out."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from classifier.network import DigitNetwork
from . import batchnorm, calibration, export, outliers
from .augmentation import Ranges, distort
from .dataset import Dataset, Split


@dataclass(frozen=True)
class Configuration:
    """Everything that decides the result of a training, besides the seed and the data."""

    epochs: int = 40
    clear_epochs: int = 2  # the last ones, on unchanged images
    kept: float = 0.1  # share of unchanged images before that, so that blur does not mark digits
    digits_per_batch: int = 200
    outliers_per_batch: int = 8
    outliers: int = 40_000  # drawn once, then used in any order
    peak_learning_rate: float = 0.1
    warm_up: float = 0.2  # share of the steps until the peak
    momentum: float = 0.9
    weight_decay: float = 5e-4
    average_decay: float = 0.998  # per step, of the moving average of the weights
    ranges: Ranges = field(default=Ranges(rotation=22, scale=0.22, shear=0.15, shift=4, elastic=1))
    outlier_kinds: Literal["digits", "abstract", "none"] = "digits"  # a key of `outliers.SETS`
    either_polarity: bool = True  # whether dark ink on light paper is read like light ink on dark paper


@dataclass(frozen=True)
class Epoch:
    """The results of an epoch. `nll` and `error` (a share) are those of the averaged weights on validation."""

    loss: float
    nll: float
    error: float
    seconds: float


@dataclass(frozen=True)
class Fitted:
    """A trained network, ready for export, and the record of its training."""

    network: DigitNetwork
    temperature: float
    validation_nll: float
    history: list[Epoch]


Report = Callable[[list[Epoch]], None]


class Training:
    """The training of one network. It can be saved to a file after every epoch and continued from there.

    Every epoch has its own random generator, seeded with the seed and the epoch's number, so an interruption
    changes nothing.
    """

    def __init__(self, seed: int, configuration: Configuration, dataset: Dataset) -> None:
        torch.manual_seed(seed)
        self.seed, self.configuration, self.dataset = seed, configuration, dataset
        self.history: list[Epoch] = []
        self.digits = torch.from_numpy(dataset.train.floats())
        self.labels = torch.from_numpy(dataset.train.labels).long()
        rng = np.random.default_rng(seed)
        self.outliers = torch.from_numpy(
            outliers.draw(
                rng, configuration.outliers, dataset.train.floats(), outliers.SETS[configuration.outlier_kinds]
            )
        )
        self.steps = max(1, len(self.labels) // configuration.digits_per_batch)
        network = batchnorm.insert(DigitNetwork(dataset.classes, configuration.either_polarity))
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a tenth faster
        self.average = AveragedModel(
            self.network,
            multi_avg_fn=get_ema_multi_avg_fn(configuration.average_decay),  # type: ignore[no-untyped-call]  # torch's
            use_buffers=True,
        )
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=configuration.peak_learning_rate,
            momentum=configuration.momentum,
            weight_decay=configuration.weight_decay,
            nesterov=True,
        )
        steps = self.steps * configuration.epochs
        self.schedule = OneCycleLR(
            self.optimizer,
            configuration.peak_learning_rate,
            total_steps=steps,
            pct_start=configuration.warm_up if configuration.warm_up * steps > 1 else 0.0,  # torch divides by their gap
            cycle_momentum=False,
            final_div_factor=1000,
        )

    def run(self, checkpoint: Path, report: Report) -> Fitted:
        """Train to the last epoch, starting from `checkpoint` if it belongs to this training, and calibrate."""
        if checkpoint.exists():
            self._resume(checkpoint)
        while len(self.history) < self.configuration.epochs:
            self._epoch()
            self._save(checkpoint)
            report(self.history)
        return self._finish()

    def _epoch(self) -> None:
        start, number, configuration = time.monotonic(), len(self.history), self.configuration
        generator = torch.Generator().manual_seed(self.seed * 10_000 + number)
        others = torch.randperm(len(self.outliers), generator=generator)
        order = torch.randperm(len(self.labels), generator=generator)
        clear = number >= configuration.epochs - configuration.clear_epochs
        losses = 0.0
        self.network.train()
        for step in range(self.steps):
            chosen = _part(order, step, configuration.digits_per_batch)
            drawn = _part(others, step, configuration.outliers_per_batch)
            images = torch.cat([self.digits[chosen], self.outliers[drawn]])
            targets = torch.cat([self.labels[chosen], torch.full((len(drawn),), self.dataset.classes)])
            if not clear:
                moved = distort(images, configuration.ranges, generator, graded=True)
                kept = torch.rand(len(images), 1, generator=generator) < configuration.kept
                images = torch.where(kept, images, moved)
            losses += self._step(images, targets)
        validation = self._validate(batchnorm.fold(cast(DigitNetwork, self.average.module)))
        self.history.append(Epoch(losses / self.steps, *validation, time.monotonic() - start))

    def _step(self, images: Tensor, targets: Tensor) -> float:
        logits = self.network(images)
        loss = nn.functional.cross_entropy(logits, targets)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        self.optimizer.step()
        self.schedule.step()
        self.average.update_parameters(self.network)
        return loss.item()

    def _validate(self, network: DigitNetwork) -> tuple[float, float]:
        logits, labels = _logits(network, self.dataset.validation)
        return nn.functional.cross_entropy(logits, labels).item(), (logits.argmax(1) != labels).float().mean().item()

    def _finish(self) -> Fitted:
        network = batchnorm.fold(cast(DigitNetwork, self.average.module))
        logits, labels = _logits(network, self.dataset.validation)
        temperature = calibration.temperature(logits, labels)
        # torch's stubs know no `memory_format` without a device.
        network = calibration.fold(network, temperature).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        return Fitted(network, temperature, self._validate(network)[0], self.history)

    def _identity(self) -> str:
        return json.dumps([self.seed, asdict(self.configuration), self.dataset.sha256])

    def _parts(self) -> dict[str, Any]:
        return {part: getattr(self, part) for part in ("network", "average", "optimizer", "schedule")}

    def _save(self, checkpoint: Path) -> None:
        states = {name: part.state_dict() for name, part in self._parts().items()}
        history = [asdict(epoch) for epoch in self.history]
        partial = checkpoint.with_suffix(".partial")
        export.save({"identity": self._identity(), "history": history, **states}, partial)
        partial.replace(checkpoint)

    def _resume(self, checkpoint: Path) -> None:
        saved = torch.load(checkpoint, weights_only=True)
        if saved["identity"] != self._identity():
            return
        for name, part in self._parts().items():
            part.load_state_dict(saved[name])
        self.history = [Epoch(**epoch) for epoch in saved["history"]]


def _part(order: Tensor, number: int, size: int) -> Tensor:
    return order[number * size : (number + 1) * size]


def _logits(network: DigitNetwork, split: Split) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        batches = torch.split(torch.from_numpy(split.floats()), 1000)
        return torch.cat([network(batch) for batch in batches]), torch.from_numpy(split.labels).long()
