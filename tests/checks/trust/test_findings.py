import numpy as np
import pytest

from auditor.checks.trust.faithfulness import DeletionCurves
from auditor.checks.trust.findings import faithfulness, occlusion_left_out, randomization
from auditor.checks.trust.randomization import Randomization
from auditor.results import Verdict


def randomized(correlations, *, method="gradient", half=0.0):
    """Make what three randomised layers do to one method: `half` is its correlation with two of them randomised."""
    values = np.array([np.full(len(correlations), half), correlations], dtype=np.float64)
    return Randomization(3, (2, 3), ("b", "a"), 0, {method: values}, {method: values}, {})


def curves(better_at_deletion, better_at_insertion, n, *, methods=("gradient",), changes=True):
    """Make curves that are better than the one random order on the first images, and worse on the others."""
    flat = np.full((n, 3), 0.5)

    def bent(better):
        sign = np.where(np.arange(n) < better, 1, -1) if changes else np.zeros(n)
        return 0.1 * sign[:, None] * [0, 1, 0]

    deletion, insertion = flat - bent(better_at_deletion), flat + bent(better_at_insertion)
    return DeletionCurves(dict.fromkeys(methods, deletion), dict.fromkeys(methods, insertion), (flat[None], flat[None]))


@pytest.mark.parametrize(("correlation", "verdict", "sentence"), [
    (
        0.5,
        Verdict.PASS,
        "gradient: depends on the trained weights; rank correlation 0.50 with all 3 layers randomised",
    ),
    (
        0.51,
        Verdict.WARN,
        "gradient: hardly depends on the trained weights; rank correlation 0.51 with all 3 layers randomised",
    ),
    (0.0, Verdict.SKIP, "gradient: all maps are constant once layers are randomised"),
    (np.nan, Verdict.SKIP, "gradient: no maps can be compared: they are constant or not finite"),
])  # fmt: skip
def test_maps_have_to_change_with_the_weights(correlation, verdict, sentence):
    (finding,) = randomization(randomized([correlation] * 9), 0.5)
    assert (finding.verdict, finding.message) == (verdict, sentence)
    assert finding.subject == "gradient"
    assert finding.n == (None if np.isnan(correlation) else 9)


def test_the_median_over_the_finite_maps_counts():
    (finding,) = randomization(randomized([0.1, 0.7, np.nan, 0.9]), 0.5)
    assert (finding.verdict, finding.value, finding.n) == (Verdict.WARN, 0.7, 3)
    assert finding.detail.startswith("Don't read reasons for the prediction from these maps")


@pytest.mark.parametrize(("half", "sentence"), [
    (0.5, "guided backprop: depends on the last layers; rank correlation 0.50 with 2 of 3 layers randomised"),
    (0.9, "guided backprop: hardly depends on the last layers; rank correlation 0.90 with 2 of 3 layers randomised"),
])  # fmt: skip
def test_methods_known_to_ignore_the_last_layers_are_reported_and_not_judged(half, sentence):
    (finding,) = randomization(randomized([0.0] * 9, method="guided backprop", half=half), 0.5)
    assert (finding.verdict, finding.message) == (Verdict.INFO, sentence)
    assert ("reported, not judged" in finding.detail) == (half > 0.5)


@pytest.mark.parametrize(("above", "close"), [(0, False), (1, False), (3, True)])
def test_a_limit_that_many_images_are_above_is_called_close(above, close):
    (finding,) = randomization(randomized([0.6] * above + [0.1] * (9 - above)), 0.5)
    assert finding.verdict is Verdict.PASS
    assert ("Close to the limit" in finding.detail) == close


def test_one_image_is_not_called_close():
    (finding,) = randomization(randomized([0.1]), 0.5)
    assert (finding.interval, finding.detail) == (None, "")


@pytest.mark.parametrize(("deletion", "insertion", "n", "verdict"), [
    (8, 8, 8, Verdict.PASS),
    (7, 7, 8, Verdict.PASS),  # p = 0.035
    (6, 8, 8, Verdict.SKIP),  # p = 0.145
    (5, 5, 8, Verdict.SKIP),
    (4, 4, 8, Verdict.SKIP),
    (2, 2, 8, Verdict.SKIP),  # worse than random with p = 0.145
    (1, 1, 8, Verdict.WARN),  # worse than random with p = 0.035
    (0, 0, 8, Verdict.WARN),
    (5, 5, 5, Verdict.PASS),  # p = 0.031
    (4, 4, 4, Verdict.SKIP),  # p = 0.063, even if all are better
    (11, 11, 19, Verdict.SKIP),
    (11, 11, 20, Verdict.WARN),
    (15, 15, 20, Verdict.PASS),  # p = 0.021
    (14, 14, 20, Verdict.WARN),  # p = 0.058
])  # fmt: skip
def test_a_method_has_to_be_better_than_random(deletion, insertion, n, verdict):
    (finding,) = faithfulness(curves(deletion, insertion, n), ["gradient"], 0.05)
    assert (finding.verdict, finding.n) == (verdict, n)


@pytest.mark.parametrize(("deletion", "insertion", "n", "sentence"), [
    (20, 19, 20, "gradient: better than random order at deletion (20 of 20 images) and at insertion (19 of 20)"),
    (
        10,
        19,
        20,
        "gradient: no better than random order at deletion (10 of 20 images better), only at insertion (19 of 20)",
    ),
    (
        19,
        10,
        20,
        "gradient: no better than random order at insertion (10 of 20 images better), only at deletion (19 of 20)",
    ),
    (
        9,
        10,
        20,
        "gradient: no better than random order at deletion (9 of 20 images better) and at insertion (10 of 20)",
    ),
    (
        5,
        8,
        8,
        "gradient: better than random order on 5 of 8 images at deletion and on 8 of 8 at insertion; too few images to "
        "rule out chance",
    ),
    (4, 4, 4, "gradient: 4 images are too few for the test against random orders; 5 are needed"),
    (1, 1, 1, "gradient: 1 image is too few for the test against random orders; 5 are needed"),
])  # fmt: skip
def test_the_sentence_says_what_is_better_than_random(deletion, insertion, n, sentence):
    (finding,) = faithfulness(curves(deletion, insertion, n), ["gradient"], 0.05)
    assert finding.message == sentence


def test_an_order_that_changes_nothing_is_not_judged():
    (finding,) = faithfulness(curves(0, 0, 8, changes=False), ["gradient"], 0.05)
    assert finding.verdict is Verdict.SKIP
    assert finding.message == "gradient: the order changes the curves on only 0 images; 5 are needed"
    assert "trust.patch" in finding.detail


def test_no_number_of_images_is_enough_for_an_error_of_nought():
    (finding,) = faithfulness(curves(8, 8, 8), ["gradient"], 0.0)
    assert finding.verdict is Verdict.SKIP
    assert finding.message == "gradient: no number of images is enough for a p-value of 0"


def test_several_methods_are_corrected_for_and_those_that_are_not_judged_are_not_counted():
    methods = ("gradient", "Grad-CAM", "deconvnet")
    found = {one.subject: one for one in faithfulness(curves(7, 7, 7, methods=methods), methods, 0.05)}
    assert [found[name].value for name in methods] == pytest.approx([2 / 128, 2 / 128, 1 / 128])
    assert [found[name].verdict for name in methods] == [Verdict.PASS, Verdict.PASS, Verdict.INFO]


@pytest.mark.parametrize(("computed", "rule", "sentence"), [
    (0, "trust.randomization", "occlusion: not computed, since trust.occlusion is 0"),
    (
        1,
        "trust.faithfulness",
        "occlusion: computed on 1 image only, since it takes many forward passes; -o trust.occlusion=8 computes it on "
        "all",
    ),
])  # fmt: skip
def test_occlusion_of_few_images_is_left_out(computed, rule, sentence):
    finding = occlusion_left_out(computed, 8)
    assert (finding.rule, finding.verdict, finding.message) == (rule, Verdict.SKIP, sentence)
