"""What is counted of images with several labels, compared with a loop and with scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from auditor.collectors import Batch, LabelScores
from auditor.collectors.label_scores import WrongLabel, bins_for
from auditor.statistics import precision_recall


def seen_of(scores, targets, **how):
    collector = LabelScores(**how)
    scores, targets = np.array(scores, np.float32), np.array(targets, np.int8)
    collector.update(Batch(np.arange(len(scores)), np.full(len(scores), -1), scores, targets=targets), {})
    return collector


def test_decisions_are_those_of_a_loop():
    random = np.random.default_rng(0)
    scores, targets = random.normal(0, 2, (80, 3)), random.integers(-1, 2, (80, 3))
    seen = seen_of(scores, targets, threshold=0.3)
    told = 1 / (1 + np.exp(-scores.astype(np.float32))) >= 0.3
    for label in range(3):
        kinds = [(t, p) for t, p in zip(targets[:, label], told[:, label], strict=True) if t >= 0]
        expected = [sum(k == kind for k in kinds) for kind in ((1, True), (1, False), (0, True), (0, False))]
        assert seen.decisions[:, label].tolist() == expected
    known = [i for i in range(80) if (targets[i] >= 0).all()]
    right = sum((told[i] == (targets[i] == 1)).all() for i in known)
    assert seen.exact.tolist() == [len(known), right]
    assert seen.told.tolist() == told.sum(0).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_the_one_of_scikit_learn_to_a_thousandth(seed):
    random = np.random.default_rng(seed)
    targets = random.random((400, 2)) < 0.3
    scores = random.normal(-1, 2, (400, 2)) + 2 * targets
    seen = seen_of(scores, targets)
    for label in range(2):
        expected = metrics.average_precision_score(targets[:, label], scores[:, label])
        found = precision_recall.average_precision(seen.halves(label).sum(0))
        assert float(found) == pytest.approx(expected, abs=1e-3)


def test_average_precision_of_scores_in_bins_of_their_own_is_exact():
    targets, scores = np.array([[1], [0], [1], [1], [0]]), np.array([[2.0], [1.5], [1.0], [-1.0], [-3.0]])
    found = precision_recall.average_precision(seen_of(scores, targets).halves(0).sum(0))
    assert float(found) == pytest.approx(metrics.average_precision_score(targets[:, 0], scores[:, 0]))


def test_scores_that_are_all_the_same_have_the_average_precision_of_chance():
    targets = np.arange(1000)[:, None] % 4 == 0
    found = precision_recall.average_precision(seen_of(np.full((1000, 1), 7.0), targets).halves(0).sum(0))
    assert float(found) == pytest.approx(0.25, abs=1e-3)


def test_without_an_image_that_has_the_label_average_precision_is_not_a_number():
    assert np.isnan(precision_recall.average_precision(np.array([[3, 1], [0, 0]])))


def test_the_bootstrap_covers_the_average_precision_of_all_images():
    random, covered = np.random.default_rng(0), 0
    targets = random.random((20_000, 1)) < 0.3
    scores = random.normal(0, 1, (20_000, 1)) + 1.5 * targets
    truth = metrics.average_precision_score(targets[:, 0], scores[:, 0])
    for trial in range(60):
        some = random.choice(20_000, 150, replace=False)
        low, high = precision_recall.interval(seen_of(scores[some], targets[some]).halves(0).sum(0), seed=trial)
        covered += low <= truth <= high
    assert covered >= 51  # of 60 with a coverage of 95 % in fewer than 1 of 1000 runs less than that


def test_the_best_threshold_is_the_best_of_all():
    random = np.random.default_rng(1)
    targets = random.random(300) < 0.2
    scores = random.normal(-2, 1, 300) + 2 * targets
    seen = seen_of(scores[:, None], targets[:, None])
    found = precision_recall.best_threshold(seen.halves(0).sum(0))
    edges = np.arange(-32, 32, 1 / 64)
    every = [metrics.f1_score(targets, scores.astype(np.float32) >= edge) for edge in edges[1700:2300]]
    assert found.f1 == pytest.approx(max(every))
    assert seen.lower_edge(found.bin) == pytest.approx(1 / (1 + np.exp(-edges[found.bin])))


def test_a_threshold_is_tested_on_images_that_it_was_not_chosen_on():
    random = np.random.default_rng(2)
    seen = seen_of(random.normal(0, 1, (60, 1)), random.random((60, 1)) < 0.3)  # the scores say nothing
    halves = seen.halves(0)
    assert precision_recall.held_out_f1(halves) < precision_recall.best_threshold(halves.sum(0)).f1
    assert min(halves.sum((1, 2))) > 15


def test_the_most_confident_wrong_labels_are_kept():
    seen = seen_of([[5, -9], [-3, 0.5], [8, 1]], [[0, 1], [1, 0], [-1, 0]], kept=3)
    assert [(one.image, one.label, one.present) for one in seen.wrong] == [(0, 1, True), (0, 0, False), (1, 0, True)]
    assert isinstance(seen.wrong[0], WrongLabel)


def test_images_whose_scores_are_not_finite_count_nowhere_else():
    seen = seen_of([[1, np.nan], [1, -1]], [[1, 0], [1, 0]])
    assert (seen.images, seen.unanswered, seen.present.tolist()) == (1, 1, [1, 0])


@pytest.mark.parametrize("labels", [1, 256, 1000, 22_000])
def test_histograms_of_any_number_of_labels_stay_small(labels):
    assert 4 * labels * bins_for(labels) * 8 <= 50_000_000
    assert bins_for(labels) & (bins_for(labels) - 1) == 0
