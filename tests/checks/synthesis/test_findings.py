import numpy as np
import pytest
import torch

from auditor import methods
from auditor.checks.synthesis import findings
from auditor.checks.synthesis.class_models import ClassModel, SynthesizedImage
from auditor.checks.synthesis.trigger_findings import backdoors, triggers
from auditor.checks.synthesis.triggers import FoundTriggers, Trigger
from auditor.results import Verdict

CLASSES = tuple(f"class {number}" for number in range(12))


def made(target, probability, *, curve=(0.0, 1.0)):
    """Make an image with a probability of its class; the rest is the next class's."""
    probabilities = np.zeros(len(CLASSES))
    probabilities[[target, (target + 1) % len(CLASSES)]] = probability, 1 - probability
    pixels, scores = np.zeros((2, 2, 3), np.uint8), np.array(curve, np.float32)
    return SynthesizedImage(methods.SIMONYAN, torch.zeros(3, 2, 2), pixels, scores, 1.0, probabilities, 0.0, "")


def model(target, plain, natural=0.0, **more):
    return ClassModel(target, made(target, plain, **more), (made(target, natural, **more),))


@pytest.mark.parametrize(("plain", "natural", "limit", "verdict"), [
    (0.51, 0.0, 0.5, Verdict.PASS),
    (0.0, 0.51, 0.5, Verdict.PASS),  # one of the two is enough
    (0.6, 0.0, 0.6, Verdict.PASS),
    (0.59, 0.0, 0.6, Verdict.WARN),
    (0.49, 0.0, 0.4, Verdict.WARN),  # above the limit, but another class is more probable
])  # fmt: skip
def test_an_image_has_to_be_predicted_as_its_class(plain, natural, limit, verdict):
    (finding,) = findings.unreached([model(2, plain, natural)], CLASSES, limit, ())
    assert (finding.rule, finding.verdict) == ("synthesis.unreached", verdict)
    assert (finding.value, finding.limit, finding.n) == (max(plain, natural), limit, 1)


@pytest.mark.parametrize(("predicted", "verdict", "advice"), [
    ((), Verdict.WARN, "Check whether its weights in the last layer"),
    ((2,), Verdict.INFO, "Some images of the data are predicted as this class"),
])  # fmt: skip
def test_a_class_that_the_data_reach_is_no_warning(predicted, verdict, advice):
    (finding,) = findings.unreached([model(2, 0.1)], CLASSES, 0.5, predicted)
    assert (finding.verdict, finding.subject) == (verdict, "class 2")
    assert finding.message == (
        "no image was found for class 2: the best one is predicted as class 3 with a probability of 90.0 %"
    )
    assert finding.detail.startswith(advice)


@pytest.mark.parametrize(("count", "sentence"), [
    (1, "the image made for 1 class is predicted as the class, with a probability of 80.0 %"),
    (3, "the images made for 3 classes are predicted as these, with a probability of 80.0 % or more"),
])  # fmt: skip
def test_the_least_probable_image_is_reported(count, sentence):
    (finding,) = findings.unreached([model(c, 0.8 if c == 0 else 0.9) for c in range(count)], CLASSES, 0.5, ())
    assert (finding.verdict, finding.message) == (Verdict.PASS, sentence)


@pytest.mark.parametrize(("count", "sentence"), [
    (10, None),
    (11, "no image was found for 1 more class"),
    (12, "no image was found for 2 more classes"),
])  # fmt: skip
def test_ten_classes_are_named_one_by_one(count, sentence):
    found = list(findings.unreached([model(c, 0.1) for c in range(count)], CLASSES, 0.5, range(10)))
    assert [one.verdict for one in found[:10]] == [Verdict.INFO] * 10
    assert [one.message for one in found[10:]] == ([sentence] if sentence else [])
    assert all(one.verdict is Verdict.WARN for one in found[10:])


@pytest.mark.parametrize(("constant", "n", "verdict", "sentence"), [
    (0, 1, Verdict.PASS, "the score of 1 class depends on the image"),
    (0, 3, Verdict.PASS, "the scores of 3 classes depend on the image"),
    (1, 3, Verdict.WARN, "the score of 1 of 3 classes does not depend on the image"),
    (2, 3, Verdict.WARN, "the scores of 2 of 3 classes do not depend on the image"),
])  # fmt: skip
def test_any_score_that_never_changes_is_a_warning(constant, n, verdict, sentence):
    models = [model(c, 0.9, curve=(1.0, 1.0, np.nan) if c < constant else (1.0, 2.0)) for c in range(n)]
    finding = findings.flat(models, CLASSES)
    assert (finding.verdict, finding.message) == (verdict, sentence)
    assert (finding.value, finding.subject) == (constant, "class 0" if constant else "")


def test_scores_that_are_not_finite_are_skipped():
    models = [model(0, 0.9), model(1, 0.9)]
    assert list(findings.not_finite(models, models, CLASSES)) == []
    (finding,) = findings.not_finite(models, models[:1], CLASSES)
    assert (finding.verdict, finding.detail) == (Verdict.SKIP, "class 1")
    assert finding.message == "the scores of the image made for 1 class are not finite: see predictions.nonfinite"


def trigger(target, mass, p_value, hits=100, tried=100):
    return Trigger(target, target, mass, 784, reached=True, hits=hits, tried=tried, p_value=p_value)


def found(*first, **more):
    """Gather some triggers, and ordinary ones of 40 pixels for the rest of ten classes."""
    rest = [trigger(target, 40.0, 1.0) for target in range(len(first), 10)]
    none = torch.zeros(0, 1, 1, 1)
    whole = methods.Triggers((), none, none, (), (), (), torch.zeros(0, dtype=torch.bool))
    return FoundTriggers((*first, *rest), whole, none, (), torch.zeros(0), **{"assumed": False} | more)


@pytest.mark.parametrize(("p_value", "hits", "tried", "verdict"), [
    (0.05, 90, 100, Verdict.WARN),
    (0.051, 90, 100, Verdict.PASS),
    (0.05, 89, 100, Verdict.PASS),
    (0.05, 20, 20, Verdict.WARN),
    (0.05, 29, 32, Verdict.WARN),  # 90.6 %, 75.8 % or more
    (0.05, 27, 30, Verdict.PASS),  # 90 %, but it may be 74.4 %
])  # fmt: skip
def test_a_trigger_has_to_be_small_and_to_work(p_value, hits, tried, verdict):
    gathered = found(trigger(0, 4.0, p_value, hits, tried))
    (finding,) = triggers(gathered, CLASSES)
    assert (finding.rule, finding.verdict) == ("synthesis.trigger", verdict)
    assert (finding.value, finding.limit, finding.unit, finding.n) == (p_value, 0.05, "p", 10)
    assert bool(backdoors(gathered)) == (verdict is Verdict.WARN)


@pytest.mark.parametrize(("one", "sentence"), [
    (
        trigger(0, 4.0, 0.01, 95),
        "a pattern of 4.0 of 784 pixels changes 95 of 100 images of other classes to class 0 (88.8 % to 97.8 %); the "
        "median pattern of the other classes has 40.0 pixels",
    ),
    (
        trigger(0, 4.0, 0.01, 50),
        "the pattern of class 0 is far smaller than those of the other classes (4.0 pixels, median 40.0), but it "
        "changes only 50 of 100 images of other classes to the class",
    ),
    (
        trigger(0, 30.0, 0.4),
        "no class has a far smaller pattern than the others: the smallest is that of class 0 (30.0 pixels, median "
        "40.0)",
    ),
])  # fmt: skip
def test_the_sentence_compares_the_smallest_pattern_with_the_others(one, sentence):
    (finding,) = triggers(found(one), CLASSES)
    assert finding.message == sentence


def test_each_backdoor_is_named():
    two = [trigger(0, 4.0, 0.01), trigger(1, 5.0, 0.02)]
    assert [one.subject for one in triggers(found(*two), CLASSES)] == ["class 0", "class 1"]


def test_too_few_triggers_are_not_compared():
    (finding,) = triggers(found(*(trigger(target, 9.0, None) for target in range(10))), CLASSES)
    assert (finding.verdict, finding.n) == (Verdict.SKIP, 10)
    assert finding.message == "triggers work for fewer than 8 of 10 classes: too few to compare"


@pytest.mark.parametrize(("more", "sentence"), [
    ({}, ""),
    ({"omitted": 1}, "1 class was not searched, since synthesis.trigger_budget allows no more."),
    ({"omitted": 2}, "2 classes were not searched, since synthesis.trigger_budget allows no more."),
    ({"assumed": True}, "The images have no labels; the predicted classes are used instead."),
])  # fmt: skip
def test_the_detail_says_what_is_missing(more, sentence):
    (finding,) = triggers(found(trigger(0, 30.0, 0.4), **more), CLASSES)
    assert finding.detail == sentence
    (finding,) = triggers(found(trigger(0, 30.0, 0.4), trigger(1, 35.0, None), **more), CLASSES)
    assert finding.detail.startswith("Not compared, since no trigger works or too few images are left")
    assert finding.n == 9
