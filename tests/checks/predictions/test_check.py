"""What the check says of answers that are written down, for networks of one parameter."""

import numpy as np
import pytest
from PIL import Image

from auditor.results import Verdict
from tests import networks
from tests.audits import result_of

AS_IT_IS = {"resize": 8, "crop": 8, "scale": 255, "mean": 0.0, "std": 1.0}


def judged(folder, answers, *, odds=4.0, **options):
    """Return the findings about a network with these answers to the images of each of four classes."""
    checkpoint = networks.save(networks.WrittenAnswers(), folder / "net.pt")
    for label, own in enumerate(answers):
        (folder / "data" / f"class{label}").mkdir(parents=True)
        for i, answer in enumerate(own):
            pixels = np.full(
                (8, 8, 3), (10 * answer, round(10 * odds), 60 * label + i), np.uint8
            )  # none is there twice
            Image.fromarray(pixels).save(folder / "data" / f"class{label}" / f"{i}.png")
    settings = {"arch": networks.flag(networks.WrittenAnswers), "preprocess": AS_IT_IS, "samples": 1}
    result = result_of("predictions", checkpoint, folder / "data", options, **settings)
    return {finding.rule.removeprefix("predictions."): finding for finding in result.findings}


def right(share, n=25):
    """Return answers that are right in this share of the images of each class."""
    hits = round(share * n)
    return [[label] * hits + [(label + 1) % 4] * (n - hits) for label in range(4)]


@pytest.mark.parametrize(
    ("limit", "confident", "verdict", "close"),
    [
        (0.85, False, Verdict.PASS, True),
        (0.85, True, Verdict.FAIL, True),
        (0.7, True, Verdict.PASS, False),
        (0.9, False, Verdict.FAIL, True),
        (0.99, False, Verdict.FAIL, False),
    ],
)
def test_a_build_that_has_to_be_confident_fails_where_the_interval_reaches_below(
    tmp_path, limit, confident, verdict, close
):
    """88 of 100: 80.2 % to 93.0 %."""
    found = judged(tmp_path, right(0.88), accuracy_fail=limit, confident=confident)["accuracy"]
    assert (found.verdict, found.value, found.limit) == (verdict, 0.88, limit)
    assert found.interval == pytest.approx((0.802, 0.930), abs=1e-3)
    assert ("interval" in found.detail) is close


def test_a_warning_that_could_become_a_failure_is_a_close_call(tmp_path):
    found = judged(tmp_path, right(0.88), accuracy_warn=0.95, accuracy_fail=0.81)["accuracy"]
    assert (found.verdict, found.limit) == (Verdict.WARN, 0.95)
    assert "could change this verdict" in found.detail


@pytest.mark.parametrize(("confident", "verdict"), [(False, Verdict.PASS), (True, Verdict.WARN)])
def test_calibration_has_to_keep_its_limit_with_the_upper_end(tmp_path, confident, verdict):
    found = judged(tmp_path, right(0.88), odds=4.0, confident=confident, calibration_warn=0.08)["calibration"]
    assert found.value < 0.08 < found.interval[1]
    assert found.verdict is verdict


def test_the_lowest_recall_has_its_interval(tmp_path):
    answers = right(1.0)
    answers[2][:10] = [1] * 10
    found = judged(tmp_path, answers)["collapsed"]
    assert found.verdict is Verdict.PASS
    assert "Lowest recall: 60.0 % for class 'class2' (15 of 25 images, 95 % interval 40.7 % to 76.6 %)" in found.detail


def test_classes_out_of_order_fail(tmp_path):
    found = judged(tmp_path, [[(label + 1) % 4] * 25 for label in range(4)])["permuted"]
    assert found.verdict is Verdict.FAIL
    assert "fits these images: class3, class0, class1, class2." in found.detail


@pytest.mark.parametrize(
    ("n", "verdict"), [(4, Verdict.PASS), (5, Verdict.WARN), (19, Verdict.WARN), (20, Verdict.FAIL)]
)
def test_a_class_of_few_images_that_are_all_missed_is_a_warning(tmp_path, n, verdict):
    found = judged(tmp_path, [[0] * 25, [1] * 25, [2] * 25, [0] * n])
    assert found["collapsed"].verdict is verdict
    if verdict is not Verdict.PASS:
        assert (found["collapsed"].subject, found["collapsed"].n) == ("class3", n)
