"""The network and its confidence: arithmetic against oracles, the committed weights on digits and on none."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from classifier.network import DigitNetwork
from classifier.runtime import Runtime
from classifier.types import PIXELS, SIDE
from mnist_torchserve.client import digits
from mnist_torchserve.contract import CLASSES
from mnist_torchserve.project import MODEL_STORE, ROOT
from mnist_torchserve.training import (
    augmentation,
    batchnorm,
    calibration,
    campaign,
    dataset,
    evaluation,
    metrics,
    model_card,
    outliers,
    targets,
    unseen,
)
from mnist_torchserve.training.fit import Configuration, Epoch, Training

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def sample() -> dataset.Split:
    return dataset.Split(*digits.sample())


@pytest.fixture(scope="module")
def some_answers() -> tuple[Floats, NDArray[np.uint8]]:
    """Made-up probabilities (400, 10) that sum to less than one, and labels (400,)."""
    rng = np.random.default_rng(3)
    probabilities = (rng.dirichlet(np.full(CLASSES, 0.3), 400) * rng.uniform(0.5, 1, (400, 1))).astype(np.float32)
    return np.maximum(probabilities, np.float32(1e-6)), rng.integers(0, 10, 400).astype(np.uint8)


class TestCommittedWeights:
    def test_reads_real_digits_with_confidence_that_fits(self, model: Runtime, sample: dataset.Split) -> None:
        probabilities = model.probabilities(sample.floats())
        assert metrics.accuracy(probabilities, sample.labels) >= 0.99
        assert metrics.nll(probabilities, sample.labels) <= 0.03
        assert probabilities.max(1).mean() >= 0.98

    def test_has_no_confidence_in_a_page_of_one_tone(self, model: Runtime) -> None:
        assert model.probabilities(evaluation.constant_images()).max() <= 0.05

    def test_has_no_confidence_in_noise(self, model: Runtime) -> None:
        noise = np.random.default_rng(11).random((500, 784), dtype=np.float32)
        assert model.probabilities(noise).max() <= 0.05

    def test_reads_inverted_digits_as_well(self, model: Runtime, sample: dataset.Split) -> None:
        upright, inverted = model.probabilities(sample.floats()), model.probabilities(1 - sample.floats())
        np.testing.assert_allclose(inverted, upright, atol=1e-3)

    def test_reads_distorted_digits(self, model: Runtime, sample: dataset.Split) -> None:
        probabilities = model.probabilities(evaluation.distorted(sample.floats()))
        assert metrics.accuracy(probabilities, sample.labels) >= 0.97

    def test_trusts_digits_more_than_what_it_never_saw(self, model: Runtime, sample: dataset.Split) -> None:
        rng = np.random.default_rng(12)
        images = np.concatenate([kind(rng, 200, sample.floats()) for kind in unseen.KINDS.values()])
        others, trusted = model.probabilities(images).max(1), model.probabilities(sample.floats()).max(1)
        assert metrics.auroc(trusted, others) >= 0.99
        assert others.mean() <= 0.25

    def test_tells_how_it_came_about(self, model: Runtime) -> None:
        story = model.metadata
        assert story["data"]["sha256"] == dataset.DIGITS_SHA256
        assert story["metrics"]["accuracy"] >= 0.996
        assert len(story["seeds"]) >= 3
        chosen = story["seeds"][str(story["seed"])]
        assert chosen == story["metrics"]
        assert chosen["validation_nll"] == min(figures["validation_nll"] for figures in story["seeds"].values())
        assert len(story["commit"]) == 40

    def test_card_tells_the_same_story(self, model: Runtime) -> None:
        assert (ROOT / "docs" / "model_card.md").read_text(encoding="utf-8") == model_card.text(model.metadata)

    def test_card_shows_pictures_that_exist(self, model: Runtime) -> None:
        pictures = [
            line.split("(")[1].rstrip(")") for line in model_card.text(model.metadata).splitlines() if line[:2] == "!["
        ]
        assert len(pictures) == len(set(pictures)) == 6
        for picture in pictures:
            assert (ROOT / "docs" / picture).read_bytes().startswith(b"\x89PNG")

    def test_whole_test_set_gives_the_figures_of_the_card(self, model: Runtime, mnist: dataset.Dataset) -> None:
        story = model.metadata
        figures = evaluation.evaluate(MODEL_STORE, mnist.test).figures
        for name, value in figures.items():  # another processor rounds otherwise
            assert math.isclose(value, story["metrics"][name], rel_tol=0.02, abs_tol=3e-4), name
        missed = targets.missed({**story["metrics"], **figures}, list(story["seeds"].values()))
        assert missed == ["accuracy"]  # 99.60% over the seeds, where 99.65% is wanted


class TestMetrics:
    def test_scores_are_those_of_torch(self, some_answers: tuple[Floats, NDArray[np.uint8]]) -> None:
        probabilities, labels = some_answers
        answers, truth = torch.from_numpy(probabilities).double(), torch.from_numpy(labels).long()
        expected = torch.nn.functional.nll_loss(answers.log(), truth).item()
        assert metrics.nll(probabilities, labels) == pytest.approx(expected, rel=1e-6)
        one_hot = torch.nn.functional.one_hot(truth, CLASSES).double()
        expected = torch.nn.functional.mse_loss(answers, one_hot).item() * 10
        assert metrics.brier(probabilities, labels) == pytest.approx(expected, rel=1e-6)

    def test_ece_is_the_weighted_gap_of_the_bins(self, some_answers: tuple[Floats, NDArray[np.uint8]]) -> None:
        probabilities, labels = some_answers
        expected = 0.0
        for number in range(15):
            rows = [
                (row.max(), row.argmax() == label)
                for row, label in zip(probabilities, labels, strict=True)
                if number / 15 <= row.max() < (number + 1) / 15
            ]
            if rows:
                confidence, right = np.mean(rows, axis=0)
                expected += len(rows) / len(labels) * abs(confidence - right)
        assert metrics.ece(probabilities, labels) == pytest.approx(expected, rel=1e-5)

    def test_auroc_counts_pairs(self) -> None:
        rng = np.random.default_rng(4)
        digits_, others = (rng.integers(3, 10, 50).astype(np.float32), rng.integers(0, 7, 40).astype(np.float32))
        pairs = [(one > other) + 0.5 * (one == other) for one in digits_ for other in others]
        assert metrics.auroc(digits_, others) == pytest.approx(np.mean(pairs))

    def test_false_positives_at_recall(self) -> None:
        digits_ = np.linspace(0, 1, 101, dtype=np.float32)
        assert metrics.false_positive_rate(digits_, np.array([0.01, 0.04, 0.06, 0.9], np.float32)) == 0.5


class TestNetwork:
    def test_ink_and_paper_may_change_places(self) -> None:
        torch.manual_seed(0)
        network, pixels = DigitNetwork().eval(), torch.rand(5, PIXELS)
        torch.testing.assert_close(network(pixels), network(1 - pixels))

    def test_folded_network_computes_what_the_trained_one_does(self) -> None:
        torch.manual_seed(0)
        trained = batchnorm.insert(DigitNetwork())
        for _ in range(5):
            trained(torch.rand(64, PIXELS))  # moves the running statistics
        folded, pixels = batchnorm.fold(trained), torch.rand(32, PIXELS)
        assert folded.state_dict().keys() == DigitNetwork().state_dict().keys()
        torch.testing.assert_close(folded(pixels), trained.eval()(pixels), rtol=1e-4, atol=1e-5)

    def test_calibration_undoes_a_wrong_temperature(self) -> None:
        generator = torch.Generator().manual_seed(0)
        true_logits = torch.randn(20_000, 11, generator=generator) * 2
        labels = torch.multinomial(true_logits.softmax(1), 1, generator=generator).squeeze(1)
        assert calibration.temperature(true_logits * 1.5, labels) == pytest.approx(1.5, rel=0.05)

    def test_folded_temperature_divides_logits(self) -> None:
        torch.manual_seed(0)
        network, pixels = DigitNetwork().eval(), torch.rand(4, PIXELS)
        torch.testing.assert_close(calibration.fold(network, 1.7)(pixels), network(pixels) / 1.7)


class TestTraining:
    def test_interrupted_training_ends_like_an_uninterrupted_one(self, sample: dataset.Split, tmp_path: Path) -> None:
        data = dataset.Dataset(sample, sample, sample)
        configuration = Configuration(epochs=3, clear_epochs=1, outliers=160, outliers_per_batch=64)
        whole = Training(1, configuration, data).run(tmp_path / "whole.pt", lambda _: None)

        def interrupt(history: list[Epoch]) -> None:
            if len(history) == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            Training(1, configuration, data).run(tmp_path / "parts.pt", interrupt)
        epochs: list[int] = []
        resumed = Training(1, configuration, data).run(
            tmp_path / "parts.pt", lambda history: epochs.append(len(history))
        )
        assert epochs == [3]
        for one, other in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
            assert torch.equal(one, other)

    def test_checkpoint_of_another_training_is_not_taken_up(self, sample: dataset.Split, tmp_path: Path) -> None:
        data = dataset.Dataset(sample, sample, sample)
        configuration = Configuration(epochs=1, clear_epochs=0, outliers=160, outliers_per_batch=64)
        Training(1, configuration, data).run(tmp_path / "checkpoint.pt", lambda _: None)
        epochs: list[int] = []
        other = replace(configuration, peak_learning_rate=0.01)
        Training(1, other, data).run(tmp_path / "checkpoint.pt", lambda history: epochs.append(len(history)))
        assert epochs == [1]

    def test_choice_goes_by_validation_alone(self, tmp_path: Path) -> None:
        answers = np.full((1, CLASSES), 0.1, np.float32)
        outcomes = [
            campaign.TrainedSeed(seed, tmp_path, 1.0, nll, [], evaluation.Evaluation({"nll": 1 - nll}, answers, {}))
            for seed, nll in ((1, 0.03), (2, 0.01), (3, 0.02))
        ]
        assert campaign.choose(outcomes).seed == 2


class TestTargets:
    accuracy, nll = targets.TARGETS[:2]

    def test_verdict_goes_by_the_worst_value(self) -> None:
        assert self.accuracy.verdict([0.998, 0.9976]) == "stretch"
        assert self.accuracy.verdict([0.998, 0.9970]) == "met"
        assert self.accuracy.verdict([0.998, 0.9960]) == "missed"
        assert self.nll.verdict([0.009, 0.013]) == "met"

    def test_mean_over_the_seeds_must_reach_the_target_too(self) -> None:
        good = {target.figure: target.bound for target in targets.TARGETS}
        assert targets.missed(good, [good, good, good]) == []
        poor = {**good, "accuracy": good["accuracy"] - 0.01}
        assert targets.missed(good, [good, good, poor]) == ["accuracy"]
        assert targets.table(good, [good, good, poor]).count("missed") == 1


class TestImages:
    @pytest.mark.parametrize("kind", [*outliers.KINDS, *unseen.KINDS.values()], ids=lambda kind: kind.__name__)
    def test_kind_gives_images_and_repeats_with_its_seed(self, kind: outliers.Kind, sample: dataset.Split) -> None:
        first, again, other = (kind(np.random.default_rng(seed), 30, sample.floats()) for seed in (1, 1, 2))
        assert first.shape == (30, PIXELS)
        assert first.dtype == np.float32
        assert first.min() >= 0
        assert first.max() <= 1
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_no_unseen_kind_is_learned_from(self) -> None:
        assert not {kind.__name__ for kind in outliers.KINDS} & set(unseen.KINDS)
        assert not set(outliers.LETTERS) & set(unseen.SYMBOLS)

    def test_shift_moves_a_dot_and_nothing_else_does_nothing(self) -> None:
        dot = torch.zeros(200, SIDE, SIDE)
        dot[:, 14, 14] = 1
        generator = torch.Generator().manual_seed(0)
        still = augmentation.distort(dot.reshape(200, -1), augmentation.Ranges(0, 0, 0, 0), generator)
        torch.testing.assert_close(still, dot.reshape(200, -1))
        moved = augmentation.distort(dot.reshape(200, -1), augmentation.Ranges(0, 0, 0, 4), generator)
        rows, columns = np.divmod(moved.argmax(1).numpy(), SIDE)
        assert set(rows - 14) == set(columns - 14) == set(range(-4, 5))
