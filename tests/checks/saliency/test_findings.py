import math

import pytest

from auditor.checks.saliency import findings
from auditor.checks.saliency.findings import Measured
from auditor.results import Verdict


def images(largest, *, certain=0, correlation=0.2):
    return [Measured(f"{i}.png", value, i < certain, correlation) for i, value in enumerate(largest)]


@pytest.mark.parametrize(("largest", "certain", "verdict", "sentence"), [
    ([1.0] * 10, 0, Verdict.PASS, "gradients are non-zero on all 10 explained images"),
    ([1.0], 0, Verdict.PASS, "the gradient is non-zero on 1 of 1 explained images"),
    ([0.0] + [1.0] * 9, 0, Verdict.PASS, "the gradient vanishes or is not finite on 1 of 10 explained images"),
    ([0.0] + [1.0] * 8, 0, Verdict.WARN, "the gradient vanishes or is not finite on 1 of 9 explained images"),
    ([1.1e-6] + [1.0] * 8, 0, Verdict.PASS, "gradients are non-zero on all 9 explained images"),
    ([1e-6] + [1.0] * 8, 0, Verdict.WARN, "the gradient vanishes or is not finite on 1 of 9 explained images"),
    ([math.nan] + [1.0] * 8, 0, Verdict.WARN, "the gradient vanishes or is not finite on 1 of 9 explained images"),
    ([1.0] * 9, 1, Verdict.WARN, "the gradient vanishes or is not finite on 1 of 9 explained images"),
    ([0.0] * 3, 0, Verdict.WARN, "the gradient vanishes or is not finite on 3 of 3 explained images"),
])  # fmt: skip
def test_the_share_of_vanishing_gradients_is_judged(largest, certain, verdict, sentence):
    finding = findings.vanishing(images(largest, certain=certain), 0.1, confident=False)
    assert (finding.verdict, finding.message) == (verdict, sentence)
    assert finding.subject == ("0.png" if verdict is Verdict.WARN else "")


@pytest.mark.parametrize(("n", "verdict"), [(34, Verdict.WARN), (35, Verdict.PASS)])
def test_confident_asks_the_whole_interval_to_keep_the_limit(n, verdict):
    finding = findings.vanishing(images([1.0] * n), 0.1, confident=True)
    assert finding.verdict is verdict
    assert (finding.interval[1] > 0.1) == (verdict is Verdict.WARN)


def test_any_gradient_that_is_not_finite_fails():
    assert list(findings.not_finite(images([1.0, 0.0]))) == []
    (finding,) = findings.not_finite(images([1.0, math.nan, 1.0]))
    assert (finding.verdict, finding.subject) == (Verdict.FAIL, "1.png")
    assert finding.message == "the gradient is NaN or infinite on 1 of 3 explained images"


@pytest.mark.parametrize(("correlation", "classes", "verdict", "sentence"), [
    (0.95, 3, Verdict.PASS, "the maps differ between classes: median rank correlation 0.95"),
    (0.96, 3, Verdict.WARN, "the maps hardly differ between classes: median rank correlation 0.96"),
    (0.96, 2, Verdict.SKIP, "not judged with two classes: the two scores mirror each other, and so do their maps"),
    (math.nan, 3, Verdict.SKIP, "no maps of two classes can be compared: the gradients are constant or not finite"),
])  # fmt: skip
def test_maps_of_different_classes_have_to_differ(correlation, classes, verdict, sentence):
    finding = findings.blind(images([1.0] * 5, correlation=correlation), 0.95, classes=classes)
    assert (finding.verdict, finding.message) == (verdict, sentence)
