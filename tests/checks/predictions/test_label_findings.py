"""What is said of labels, by made-up scores."""

import numpy as np
import pytest

from auditor.checks.predictions import label_findings
from auditor.checks.predictions.label_facts import label_facts
from auditor.collectors import Batch, LabelScores
from auditor.results import Verdict

SKIP, INFO, PASS, WARN, FAIL = Verdict.SKIP, Verdict.INFO, Verdict.PASS, Verdict.WARN, Verdict.FAIL
NAMES = ("cat", "dog", "owl")
FREE = (None, None)


def seen(scores, targets):
    collector = LabelScores()
    scores, targets = np.array(scores, np.float32), np.array(targets, np.int8)
    collector.update(Batch(np.arange(len(scores)), np.full(len(scores), -1), scores, targets=targets), {})
    return collector


def drawn(n, strength, seed=0):
    random = np.random.default_rng(seed)
    targets = (random.random((n, 3)) < 0.4).astype(np.int8)
    return strength * (2 * targets - 1) + random.normal(0, 1, (n, 3)), targets


@pytest.mark.parametrize(
    ("strength", "limits", "verdict"),
    [(9, FREE, INFO), (9, (0.9, 0.8), PASS), (0.5, (0.9, 0.8), FAIL), (0.5, (0.9, None), WARN)],
)
def test_the_subset_accuracy_is_compared_with_its_limits(strength, limits, verdict):
    finding = label_findings.subset_accuracy(seen(*drawn(60, strength)), limits, 20, confident=False, partial=False)
    assert finding.verdict is verdict
    assert finding.n == 60
    assert finding.interval[0] <= finding.value <= finding.interval[1]


def test_a_limit_is_not_kept_on_few_images_or_where_other_labels_are_unknown():
    few = label_findings.subset_accuracy(seen(*drawn(9, 9)), (0.5, None), 20, confident=False, partial=False)
    assert few.verdict is WARN
    scores, targets = drawn(60, 9)
    unknown = seen(scores, np.where(targets, 1, -1))
    finding = label_findings.subset_accuracy(unknown, FREE, 20, confident=False, partial=True)
    assert (finding.verdict, finding.value) == (SKIP, None)
    assert label_findings.subset_accuracy(unknown, (None, 0.5), 20, confident=False, partial=True).verdict is FAIL


@pytest.mark.parametrize(("strength", "verdict"), [(2, INFO), (0, WARN)])
def test_average_precision_has_to_be_better_than_chance(strength, verdict):
    facts = label_facts(seen(*drawn(200, strength)), few=20, seed=0)
    finding = label_findings.average_precision(facts, 200, FREE, 20, NAMES, confident=False)
    assert finding.verdict is verdict
    assert ("no better than chance" in finding.message) is (verdict is WARN)


def test_each_label_under_its_limit_is_named():
    scores, targets = drawn(200, 4)
    scores[:, 1] -= 6
    facts = label_facts(seen(scores, targets), few=20, seed=0)
    (finding,) = label_findings.recall(facts, (0.9, 0.5), 20, NAMES, threshold=0.5, confident=False)
    assert (finding.verdict, finding.subject) == (FAIL, "dog")
    assert "on images that the threshold was not chosen on" in finding.detail
    (lowest,) = label_findings.recall(facts, FREE, 20, NAMES, threshold=0.5, confident=False)
    assert (lowest.verdict, lowest.subject) == (INFO, "dog")


def test_a_label_that_is_never_predicted_fails_and_one_that_always_is_warns():
    scores, targets = drawn(200, 4)
    scores[:, 1], scores[:, 2] = -9, 9
    found = seen(scores, targets)
    never, always = label_findings.collapsed(found, label_facts(found, few=20, seed=0), 20, NAMES)
    assert (never.verdict, never.subject, always.verdict, always.subject) == (FAIL, "dog", WARN, "owl")
    sound = seen(*drawn(200, 4))
    (finding,) = label_findings.collapsed(sound, label_facts(sound, few=20, seed=0), 20, NAMES)
    assert finding.verdict is PASS


def test_many_labels_that_are_never_predicted_are_counted_together():
    targets = np.random.default_rng(0).random((100, 30)) < 0.5
    found = seen(np.full((100, 30), -5.0), targets)
    findings = list(
        label_findings.collapsed(found, label_facts(found, few=20, seed=0), 20, [str(i) for i in range(30)])
    )
    assert len(findings) == 21
    assert (findings[-1].value, findings[-1].verdict) == (10, FAIL)


def test_a_label_whose_probabilities_are_too_high_is_not_calibrated():
    random = np.random.default_rng(0)
    scores = random.normal(0, 1.5, (600, 3))
    targets = random.random((600, 3)) < 1 / (1 + np.exp(-scores))  # calibrated
    (finding,) = label_findings.calibration(label_facts(seen(scores, targets), few=20, seed=0), 20, 0.1, NAMES)
    assert finding.verdict is PASS
    scores[:, 2] += 2
    (finding,) = label_findings.calibration(label_facts(seen(scores, targets), few=20, seed=0), 20, 0.1, NAMES)
    assert (finding.verdict, finding.subject) == (WARN, "owl")
    assert finding.value > 0.1


def test_sound_labels_hardly_ever_warn_of_their_calibration():
    warned = 0
    for seed in range(10):
        random = np.random.default_rng(seed)
        scores = random.normal(0, 1.5, (60, 3))
        targets = random.random((60, 3)) < 1 / (1 + np.exp(-scores))
        facts = label_facts(seen(scores, targets), few=20, seed=seed)
        warned += any(one.verdict > PASS for one in label_findings.calibration(facts, 20, 0.1, NAMES))
    assert warned <= 2
