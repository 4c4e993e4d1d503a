import math

import pytest

from auditor.checks.occlusion import findings
from auditor.checks.occlusion.findings import Measured
from auditor.results import Verdict

CLASSES = ("cat", "dog")


def images(predicted, *, removed=0.0, frame=0.0, change=1.0):
    """Make one measurement for each value of the longest list; a single number stands for all of them."""
    values = {"removed": removed, "frame": frame, "change": change}
    n = max(len(one) for one in values.values() if isinstance(one, list))
    lists = {name: one if isinstance(one, list) else [one] * n for name, one in values.items()}
    return [
        Measured(
            f"{predicted}/{i}", predicted, True, lists["removed"][i], (20, 8 + i), lists["frame"][i], lists["change"][i]
        )
        for i in range(n)
    ]


def some(hits, n, hit, miss):
    return [hit] * hits + [miss] * (n - hits)


@pytest.mark.parametrize(("hits", "n", "verdict"), [
    (8, 8, Verdict.WARN),
    (7, 8, Verdict.WARN),  # p = 0.035
    (6, 8, Verdict.PASS),  # p = 0.145
    (5, 5, Verdict.WARN),  # p = 0.031
    (4, 4, Verdict.SKIP),  # p = 0.063, even if all are
    (0, 0, Verdict.SKIP),
])  # fmt: skip
def test_most_images_of_a_class_have_to_depend_on_one_window(hits, n, verdict):
    measured = images(0, removed=some(hits, n, 0.51, 0.5))
    (finding,) = findings.concentrated(measured, CLASSES, area=0.01, share=0.5)
    assert (finding.rule, finding.verdict) == ("occlusion.concentrated", verdict)
    if verdict is not Verdict.SKIP:
        assert (finding.value, finding.limit, finding.n) == (hits / n, 0.5, n)


@pytest.mark.parametrize(("area", "judged"), [(0.0199, True), (0.02, False)])
def test_only_small_windows_are_judged(area, judged):
    (finding,) = findings.concentrated(images(0, removed=[0.9] * 8), CLASSES, area=area, share=0.5)
    assert (finding.verdict is Verdict.WARN) == judged
    assert judged or finding.message == "the window covers 2.0 % of the image; only windows under 2 % are judged"


def test_a_second_class_raises_what_is_needed():
    two = [*images(0, removed=[0.9] * 5), *images(1, removed=[0.0] * 5)]
    (finding,) = findings.concentrated(two, CLASSES, area=0.01, share=0.5)
    assert finding.verdict is Verdict.SKIP
    assert finding.message == "too few explained images: the largest of 2 classes has 5, and 6 are needed"
    assert "--samples" in finding.detail
    more = [*images(0, removed=[0.9] * 6), *images(1, removed=[0.0] * 5)]
    (finding,) = findings.concentrated(more, CLASSES, area=0.01, share=0.5)
    assert (finding.verdict, finding.subject, finding.n) == (Verdict.WARN, "cat", 6)


def test_the_sentences_name_class_share_and_place():
    (warning,) = findings.concentrated(images(1, removed=[0.9] * 8), CLASSES, area=0.01, share=0.5, remark="Estimated.")
    assert warning.message == (
        "'dog': in 8 of 8 explained images one window of 1.0 % of the area removes more than 50 % of the probability"
    )
    assert warning.subject == "dog"
    assert "around row 20, column 12, at a mean distance of 2 pixels" in warning.detail
    assert warning.detail.endswith("Estimated.")
    (passed,) = findings.concentrated(images(1, removed=[0.1] * 8), CLASSES, area=0.01, share=0.5)
    assert passed.message == (
        "in 0 of 8 explained images one window of 1.0 % of the area removes more than 50 % of the probability; no "
        "class is significant (1 class judged)"
    )


@pytest.mark.parametrize(("frame", "change", "verdict"), [
    (0.51, 1.0, Verdict.WARN),
    (0.5, 1.0, Verdict.PASS),
    (0.51, 0.01, Verdict.WARN),
    (0.51, 0.0099, Verdict.SKIP),  # no window changes the score
    (math.nan, 1.0, Verdict.SKIP),  # nothing drops
])  # fmt: skip
def test_the_frame_is_judged_where_windows_change_the_score(frame, change, verdict):
    (finding,) = findings.border(images(0, frame=[frame] * 8, change=change), CLASSES, share=0.5)
    assert (finding.rule, finding.verdict) == ("occlusion.border", verdict)
    if verdict is Verdict.WARN:
        assert "more than 50 % of the drop comes from the frame, the outer 10 % of each side" in finding.message


@pytest.mark.parametrize(("unchanged", "n", "verdict", "sentence"), [
    (0, 8, Verdict.PASS, "covering a part of the image changes the score on 8 of 8 explained images"),
    (1, 10, Verdict.PASS, "no window changes the score on 1 of 10 explained images"),
    (1, 9, Verdict.WARN, "no window changes the score on 1 of 9 explained images"),
    (0, 0, Verdict.SKIP, "no score is finite, so that no change can be measured"),
])  # fmt: skip
def test_the_share_of_images_that_no_window_changes_is_judged(unchanged, n, verdict, sentence):
    finding = findings.insensitive(images(0, change=some(unchanged, n, 0.0099, 0.01)), 0.1)
    assert (finding.verdict, finding.message) == (verdict, sentence)
    assert ("could change this verdict" in finding.detail) == bool(unchanged)


@pytest.mark.parametrize(("correlations", "verdict", "value"), [
    ([0.1, 0.1, math.nan], Verdict.PASS, 0.1),
    ([0.09, 0.09, 0.9], Verdict.WARN, 0.09),
    ([-0.4], Verdict.WARN, -0.4),
    ([math.nan] * 3, Verdict.SKIP, None),
    ([], Verdict.SKIP, None),
])  # fmt: skip
def test_two_fills_are_compared_by_the_median_correlation(correlations, verdict, value):
    finding = findings.other_fill(correlations, "black", "mean", 0.1)
    assert (finding.verdict, finding.value) == (verdict, value)
    if value is None:
        assert finding.message == "no maps can be compared: covering changes nothing"
    else:
        assert finding.message == f"rank correlation {value:.2f} between the maps filled with black and with mean"


@pytest.mark.parametrize(("value", "says"), [(0.49, True), (0.5, False)])
def test_maps_that_hardly_agree_are_called_different(value, says):
    assert ("different places" in findings.other_fill([value], "grey", "mean", 0.1).detail) == says


def test_an_approximation_is_information():
    finding = findings.approximation(0.87, 0.31)
    assert (finding.verdict, finding.value) == (Verdict.INFO, 0.87)
    assert finding.message == (
        "the maps are approximate: 31 % of the small windows were computed; rank correlation with the full map 0.87 on "
        "one image"
    )
    assert findings.approximation(math.nan, 0.31).verdict is Verdict.SKIP
