"""A user's small set of images: trained in any few steps, its confidence calibrated or said not to be."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mnist_torchserve.packaging import own_data
from mnist_torchserve.training import calibration, dataset, metrics
from mnist_torchserve.training.fit import Configuration, Training
from tests.support.idx_files import shapes, write_shapes


def a_split(count: int) -> dataset.Split:
    images, labels = shapes(count, 1)
    return dataset.Split(images.reshape(-1, 784), labels)


@pytest.mark.parametrize("steps", range(1, 13))
@pytest.mark.parametrize("epochs", [1, 5])
def test_any_small_number_of_steps_trains(tmp_path: Path, steps: int, epochs: int) -> None:
    split = a_split(steps * 9)
    images = dataset.Dataset(split, split, split, ("across", "down", "square"))
    settings = Configuration(epochs=epochs, digits_per_batch=9, outlier_kinds="none")
    training = Training(1, settings, images)
    before = training.network.classifier.weight.clone()
    fitted = training.run(tmp_path / "checkpoint.pt", lambda _: None)
    assert len(fitted.history) == epochs
    assert np.isfinite([fitted.validation_nll, fitted.temperature, *(epoch.loss for epoch in fitted.history)]).all()
    assert not torch.equal(training.network.classifier.weight, before)


@pytest.mark.parametrize("count", [100, 119, 240, 960, 1000, 1200, 1201])
@pytest.mark.parametrize("outliers", ["digits", "abstract"])
def test_a_folder_of_any_few_images_has_settings_to_train_with(tmp_path: Path, count: int, outliers: str) -> None:
    images = dataset.of_idx("x", write_shapes(tmp_path, count, 30))
    settings = own_data.configuration(images, 1, "light", outliers, either_polarity=False)
    training = Training(1, settings, images)
    training._epoch()
    assert training.history[0].nll < 5


def test_warm_up_of_mnists_training_is_unchanged() -> None:
    split = a_split(50)
    training = Training(
        1, Configuration(digits_per_batch=1, outlier_kinds="none"), dataset.Dataset(split, split, split)
    )
    rates = []
    for _ in range(401):
        rates.append(float(training.schedule.get_last_lr()[0]))
        training.optimizer.step()
        training.schedule.step()
    assert rates[0] == pytest.approx(Configuration().peak_learning_rate / 25)
    assert int(np.argmax(rates)) == 399  # a fifth of 50 steps in each of 40 epochs
    assert rates[399] == pytest.approx(Configuration().peak_learning_rate)


@pytest.mark.parametrize("factor", [0.03, 0.2, 0.9, 1.5, 4, 30])
def test_a_wrong_temperature_of_any_size_is_undone(factor: float) -> None:
    generator = torch.Generator().manual_seed(0)
    true_logits = torch.randn(20_000, 4, generator=generator) * 2
    labels = torch.multinomial(true_logits.softmax(1), 1, generator=generator).squeeze(1)
    found = calibration.temperature(true_logits * factor, labels)
    assert found == pytest.approx(factor, rel=0.06)
    probabilities = (true_logits * factor / found).softmax(1).numpy()
    assert metrics.ece(probabilities, labels.numpy().astype(np.uint8)) < 0.02
    assert not calibration.doubts(found, 0.02, 20_000, all_right=False)


@pytest.mark.parametrize("margin", [0.1, 1, 20])
def test_images_that_are_all_read_rightly_give_no_certainty(margin: float) -> None:
    labels = torch.arange(100) % 4
    logits = torch.nn.functional.one_hot(labels, 5) * margin
    found = calibration.temperature(logits, labels)
    if margin < 10:
        assert 0.95 < (logits / found).softmax(1).amax(1).mean().item() <= 101 / 102
    else:
        assert found == 0.5, "what was sure without a temperature stays so"
    [doubt] = calibration.doubts(found, 0.0, 100, all_right=True)
    assert doubt.startswith("not calibrated: it reads every validation image correctly")


def test_what_stays_uncalibrated_is_said() -> None:
    least, most = calibration.TEMPERATURES[0], calibration.TEMPERATURES[-1]
    for end in (least, most):
        [doubt] = calibration.doubts(float(end), 0.01, 60, all_right=False)
        assert doubt == f"not calibrated: its temperature of {end:g} is at the end of the range that was tried"
    [doubt] = calibration.doubts(1.0, 0.0713, 1_600, all_right=False)
    assert doubt == "not calibrated: its ECE is 7.13% on 1,600 test images, above the limit of 5%"
    assert not calibration.doubts(1.0, 0.05, 60, all_right=False)


def test_a_probability_of_nothing_is_not_endless() -> None:
    answers = np.array([[1, 0], [1, 0]], np.float32)
    assert np.isfinite(metrics.nll(answers, np.array([0, 1], np.uint8)))
