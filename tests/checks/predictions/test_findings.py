"""What is said of accuracy, classes and calibration, by made-up counts."""

import numpy as np
import pytest

from auditor.checks.predictions import findings
from auditor.collectors import Predictions
from auditor.collectors.collector import Batch
from auditor.model.ending import Ending
from auditor.results import Verdict
from auditor.statistics.calibration import Calibration

SKIP, INFO, PASS, WARN, FAIL = Verdict.SKIP, Verdict.INFO, Verdict.PASS, Verdict.WARN, Verdict.FAIL
CLASSES = "abcdefgh"


def seen(confusion, *, unlabelled=(), broken=0):
    """Return the collector after images with these predictions.

    Args:
        confusion: Number of images by true class (rows) and predicted class (columns).
        unlabelled: Number of images without a label by predicted class.
        broken: Number of images whose scores are not finite.
    """
    counts = np.array(confusion)
    k = counts.shape[1]
    labels, predicted = (np.repeat(part.ravel(), counts.ravel()) for part in np.indices(counts.shape))
    more = np.repeat(np.arange(k), unlabelled) if len(unlabelled) else np.zeros(0, np.int64)
    scores = 5 * np.eye(k, dtype=np.float32)[np.concatenate([predicted, more, np.zeros(broken, np.int64)])]
    scores[len(scores) - broken :] = np.nan
    every = np.concatenate([labels, np.full(len(more) + broken, -1)])
    collector = Predictions()
    collector.update(Batch(np.arange(len(every)), every, scores), {})
    return collector


def right(hits, n, classes=4):
    """Return a confusion matrix with this number of correct predictions, all images being of the first class."""
    counts = np.zeros((classes, classes), np.int64)
    counts[0, 0], counts[0, 1] = hits, n - hits
    return seen(counts)


@pytest.mark.parametrize(
    ("ending", "verdict", "message"),
    [
        (Ending.SCORES, PASS, "the network returns logits, with no softmax or sigmoid at its end"),
        (Ending.SOFTMAX, INFO, "the network ends in a softmax; the logits before it are used"),
        (Ending.SIGMOID, INFO, "the network ends in a sigmoid; the logits before it are used"),
        (Ending.PROBABILITIES, WARN, "the network returns probabilities, and the logits behind them can't be found"),
    ],
)
def test_the_ending_of_the_network_is_reported(ending, verdict, message):
    finding = findings.ending(ending)
    assert (finding.verdict, finding.message) == (verdict, message)
    assert bool(finding.detail) is (verdict is WARN)


@pytest.mark.parametrize(
    ("broken", "verdict", "message"),
    [
        (0, PASS, "the scores of all 10 images are finite"),
        (1, FAIL, "the scores of 1 of 11 images are NaN or infinite; the image is left out of everything else"),
        (2, FAIL, "the scores of 2 of 12 images are NaN or infinite; the images are left out of everything else"),
    ],
)
def test_scores_that_are_not_finite_fail(broken, verdict, message):
    finding = findings.nonfinite(seen([[10, 0], [0, 0]], broken=broken))
    assert (finding.verdict, finding.message, finding.value) == (verdict, message, broken / (10 + broken))


@pytest.mark.parametrize(
    ("hits", "n", "limits", "verdict", "limit"),
    [
        (33, 44, (None, None), INFO, None),
        (33, 44, (0.75, None), PASS, 0.75),
        (33, 44, (0.76, None), WARN, 0.76),
        (33, 44, (0.8, 0.75), WARN, 0.8),
        (33, 44, (0.8, 0.76), FAIL, 0.76),
        (33, 44, (None, 0.76), FAIL, 0.76),
        (33, 44, (None, 0.75), PASS, 0.75),
    ],
)
def test_accuracy_under_a_limit_warns_or_fails(hits, n, limits, verdict, limit):
    finding = findings.accuracy(right(hits, n), 4, *limits, 20, confident=False)
    assert (finding.verdict, finding.limit, finding.value) == (verdict, limit, 0.75)
    assert finding.message == "top-1 accuracy 75.0 % (33 of 44)"
    assert finding.detail.startswith("Look at the most confident mistakes") is (verdict > PASS)


@pytest.mark.parametrize(
    ("hits", "n", "verdict", "message"),
    [
        (9, 20, INFO, "top-1 accuracy 45.0 % (9 of 20)"),
        (8, 20, WARN, "top-1 accuracy 40.0 % (8 of 20): no better than chance (25.0 %)"),
        (8, 19, INFO, "top-1 accuracy 42.1 % (8 of 19)"),
        (0, 19, INFO, "top-1 accuracy 0.0 % (0 of 19)"),
        (0, 20, FAIL, "top-1 accuracy 0.0 % (0 of 20): no better than chance (25.0 %)"),
        (48, 200, FAIL, "top-1 accuracy 24.0 % (48 of 200): no better than chance (25.0 %)"),
        (56, 200, WARN, "top-1 accuracy 28.0 % (56 of 200): no better than chance (25.0 %)"),
    ],
)
def test_accuracy_has_to_be_better_than_chance_on_20_images(hits, n, verdict, message):
    finding = findings.accuracy(right(hits, n), 4, None, None, 20, confident=False)
    assert (finding.verdict, finding.message) == (verdict, message)
    assert finding.limit == (0.25 if verdict >= WARN else None)
    assert bool(finding.ends) is (verdict is FAIL)


def test_a_network_of_many_classes_has_a_top_5_accuracy():
    counts = np.zeros((6, 6), np.int64)
    counts[0, 0], counts[5, 0] = 6, 4  # ties keep the first classes among the best five
    finding = findings.accuracy(seen(counts), 6, None, None, 20, confident=False)
    assert finding.message == "top-1 accuracy 60.0 % (6 of 10), top-5 accuracy 60.0 %"


def recognised(counts, **options):
    return list(findings.never_recognised(seen(counts, **options), CLASSES, 20))


@pytest.mark.parametrize(
    ("missed", "verdict", "message"),
    [
        (20, FAIL, "0 of 20 images of class 'b' are correctly classified"),
        (19, WARN, "0 of 19 images of class 'b' are correctly classified"),
        (5, WARN, "0 of 5 images of class 'b' are correctly classified"),
        (4, PASS, "1 class with at least 20 images has correctly classified images"),
    ],
)
def test_a_class_that_is_never_recognised_fails_from_20_images_on(missed, verdict, message):
    (finding,) = recognised([[30, 0, 5], [missed, 0, 0], [0, 0, 0]])
    assert (finding.verdict, finding.message) == (verdict, message)
    assert finding.subject == ("" if verdict is PASS else "b")
    assert ("Most of them are predicted as 'a'." in finding.detail) is (verdict is not PASS)


def test_the_more_rare_classes_there_are_the_more_images_each_needs():
    """Five images that are all misclassified at a recall of one half are improbable once, and not among two classes."""
    one, two = [[30, 5, 0], [5, 0, 0], [0, 0, 0]], [[30, 5, 0], [5, 0, 0], [0, 0, 3]]
    assert [finding.verdict for finding in recognised(one)] == [WARN]
    assert [finding.verdict for finding in recognised(two)] == [PASS]


def test_where_all_are_recognised_the_lowest_recall_is_given():
    (finding,) = recognised([[20, 0], [10, 15]])
    assert finding.message == "all 2 classes with at least 20 images have correctly classified images"
    assert finding.detail == "Lowest recall: 60.0 % for class 'b' (15 of 25 images, 95 % interval 40.7 % to 76.6 %)."


@pytest.mark.parametrize(
    ("counts", "verdicts", "message"),
    [
        ([[19, 0], [0, 19]], [SKIP], "no class has 20 images or more: the largest has 19"),
        ([[3, 0], [3, 0]], [SKIP], "no class has 20 images or more: the largest has 3"),
        ([[10, 0], [10, 0]], [WARN, SKIP], "0 of 10 images of class 'b' are correctly classified"),
        ([[16, 0], [4, 0]], [SKIP, WARN], "no class has 20 images or more: the largest has 16"),
    ],
)
def test_without_a_class_of_20_images_it_is_skipped(counts, verdicts, message):
    found = recognised(counts)
    assert [finding.verdict for finding in found] == verdicts
    assert found[0].message == message


@pytest.mark.parametrize(
    ("labelled", "unlabelled", "verdict"),
    [
        ([[16, 0], [4, 0]], (), WARN),
        ([[15, 0], [4, 0]], (), None),
        ([[15, 1], [4, 0]], (), None),
        ([[20, 0], [0, 0]], (), None),
        ([[0, 0], [0, 0]], (20, 0), WARN),
        ([[0, 0], [0, 0]], (19, 1), None),
    ],
    ids=["same class", "19 images", "two classes predicted", "one label", "no labels", "no labels, two classes"],
)
def test_a_single_predicted_class_is_a_warning_unless_there_is_a_single_label(labelled, unlabelled, verdict):
    found = list(findings.single_class(seen(labelled, unlabelled=unlabelled), CLASSES, 20))
    assert [finding.verdict for finding in found] == ([verdict] if verdict else [])
    if verdict:
        assert found[0].message == "all 20 images are predicted as 'a'"


def calibrated(error, by_chance=0.05, interval=None, *, confidence=0.54, accuracy=0.75, confident=False):
    bins = (np.array([confidence]), np.array([accuracy]), np.array([48.0]))
    found = Calibration(error, interval or (error - 0.01, error + 0.01), by_chance, *bins)
    return findings.calibration(found, 48, 0.1, confident=confident)


@pytest.mark.parametrize(
    ("error", "by_chance", "verdict"),
    [(0.1, 0.05, PASS), (0.101, 0.05, WARN), (0.2, 0.2, PASS), (0.2, 0.199, WARN)],
)
def test_calibration_warns_over_its_limit_and_beyond_chance(error, by_chance, verdict):
    finding = calibrated(error, by_chance)
    assert (finding.verdict, finding.value, finding.limit) == (verdict, error, 0.1)
    assert finding.detail.startswith("Temperature scaling") is (verdict is WARN)


@pytest.mark.parametrize(("upper", "verdict"), [(0.1, PASS), (0.11, WARN)])
def test_to_be_confident_the_upper_end_has_to_keep_the_limit(upper, verdict):
    assert calibrated(0.08, 0.2, (0.05, upper), confident=True).verdict is verdict


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({}, "the network is underconfident: confidence 54 %, accuracy 75 % (calibration error 0.252)"),
        ({"confidence": 0.9}, "the network is overconfident: confidence 90 %, accuracy 75 % (calibration error 0.252)"),
        (
            {"by_chance": 0.3},
            "calibrated as far as 48 images show: confidence 54 %, accuracy 75 % (calibration error 0.252, chance "
            "gives up to 0.300)",
        ),
    ],
)
def test_the_sentence_says_which_way_the_confidence_is_off(numbers, message):
    assert calibrated(0.252, **numbers).message == message
