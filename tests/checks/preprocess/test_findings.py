"""What is said of alternative preprocessing, by made-up counts and statistics."""

from dataclasses import replace

import numpy as np
import pytest

from auditor.checks.preprocess.candidates import Candidate
from auditor.checks.preprocess.mismatch import by_statistics, judged
from auditor.data.alternatives import Alternative
from auditor.data.preprocessing import Preprocess
from auditor.methods import Departure, Reordered
from auditor.results import Verdict

SKIP, PASS, WARN = Verdict.SKIP, Verdict.PASS, Verdict.WARN
BGR = Alternative("BGR instead of RGB", Preprocess.of({"color": "bgr"}))
SAME_ORDER = Reordered(np.arange(4), 0.5, 0.5, 50, (-0.1, 0.1), 1.0)


def candidate(gained, *, lost=0, right=50, n=100, p=0.001, alternative=BGR, stopped=False):
    return Candidate(alternative, n, right, lost, gained, stopped, 1.0 if stopped else p)


def finding(*candidates, order=SAME_ORDER, chance=0.25):
    return judged(candidates, chance, 0.02, reordered=lambda: order)


@pytest.mark.parametrize(
    ("gained", "p", "verdict"),
    [(2, 0.001, PASS), (3, 0.001, WARN), (3, 0.0099, WARN), (3, 0.01, PASS), (30, 0.01, PASS)],
)
def test_an_alternative_has_to_gain_over_the_limit_and_beyond_chance(gained, p, verdict):
    found = finding(candidate(gained, p=p))
    assert (found.verdict, found.value, found.limit) == (verdict, pytest.approx(gained / 100), 0.02)


def test_a_better_alternative_is_named_with_both_accuracies_and_can_be_pasted():
    found = finding(candidate(30, lost=2), candidate(10))
    assert found.message == (
        "alternative preprocessing fits better (BGR instead of RGB): top-1 accuracy 78.0 % instead of 50.0 % (n = 100, "
        "McNemar's test, corrected for 2 alternatives: p = 0.001)"
    )
    assert found.detail.partition("[preprocess]\n")[2].splitlines()[0].startswith("resize = ")
    assert found.value == pytest.approx(0.28)
    assert found.interval[0] < found.value < found.interval[1]


@pytest.mark.parametrize(
    ("candidates", "message", "detail"),
    [
        (
            [candidate(4, lost=3, p=0.5), candidate(0, stopped=True)],
            "none of 2 alternatives to the preprocessing fits better: top-1 accuracy 50.0 % as declared (n = 100)",
            "Largest gain: BGR instead of RGB (p = 0.500, corrected for 2 alternatives).",
        ),
        (
            [candidate(0, stopped=True, n=32, right=16)],
            "the alternative preprocessing does not fit better: top-1 accuracy 50.0 % as declared (n = 32)",
            "No alternative gained more images than it lost.",
        ),
    ],
)
def test_where_none_is_better_the_largest_gain_is_given(candidates, message, detail):
    found = finding(*candidates)
    assert (found.verdict, found.message, found.detail) == (PASS, message, detail)


@pytest.mark.parametrize(
    ("right", "gained", "verdict"),
    [(33, 0, SKIP), (34, 0, PASS), (5, 25, SKIP), (5, 40, WARN)],
    ids=["as declared at chance", "just better than chance", "alternative at chance", "alternative better than chance"],
)
def test_accuracies_at_chance_are_not_judged(right, gained, verdict):
    """33 of 100: the 95 % interval reaches down to 24.6 %."""
    found = finding(candidate(gained, right=right))
    assert found.verdict is verdict
    if verdict is SKIP:
        assert found.message == (
            "neither the declared preprocessing nor the alternative tried gives an accuracy better than chance "
            f"(25.0 %): top-1 accuracy {right:.1f} % as declared (n = 100)"
        )


@pytest.mark.parametrize(
    ("order", "verdict"),
    [
        ({"better": 1.0, "p": 0.0099}, SKIP),
        ({"better": 1.0, "p": 0.01}, WARN),
        ({"better": 0.6, "p": 0.001}, WARN),
    ],
)
def test_where_another_order_of_the_classes_gains_more_the_preprocessing_is_not_judged(order, verdict):
    found = finding(candidate(20), order=replace(SAME_ORDER, **order))
    assert found.verdict is verdict
    if verdict is SKIP:
        assert found.message == (
            "another order of the classes gains more accuracy (100.0 %) than alternative preprocessing (BGR instead of "
            "RGB: 70.0 %), so that the preprocessing is not judged"
        )


def statistics(apart, n=64, channels=10):
    """Return the finding of a batch norm with so many channels whose inputs differ."""
    shift = np.zeros(channels)
    shift[:apart] = 1.5
    declared = Departure(shift, np.ones(channels), np.where(shift > 0, 0.001, 1.0))
    return by_statistics("bn1", declared, n, advice=lambda: "Compare mean and std.")


@pytest.mark.parametrize(("apart", "verdict"), [(0, PASS), (5, PASS), (6, WARN), (10, WARN)])
def test_over_half_of_the_channels_have_to_differ(apart, verdict):
    found = statistics(apart)
    assert (found.verdict, found.value, found.limit, found.subject) == (verdict, apart / 10, 0.5, "bn1")
    assert found.message == (
        f"the inputs of the first batch norm differ from its running statistics in {apart} of 10 channels"
    )
    assert found.detail == ("Compare mean and std." if verdict is WARN else "")


@pytest.mark.parametrize(
    ("shift", "stretch", "p", "value"),
    [
        (1.0, 1.0, 0.001, 0.0),
        (-1.01, 1.0, 0.001, 1.0),
        (0.0, 1.6, 0.001, 0.0),
        (0.0, 1.61, 0.001, 1.0),
        (0.0, 0.62, 0.001, 1.0),
        (5.0, 5.0, 0.01, 0.0),
    ],
)
def test_a_channel_differs_if_it_is_far_off_and_not_by_chance(shift, stretch, p, value):
    declared = Departure(np.full(4, shift), np.full(4, stretch), np.full(4, p))
    assert by_statistics("bn1", declared, 64, advice=lambda: "").value == value


@pytest.mark.parametrize("part", ["shift", "stretch"])
def test_statistics_that_are_not_finite_are_skipped(part):
    declared = replace(Departure(np.zeros(4), np.ones(4), np.ones(4)), **{part: np.full(4, np.nan)})
    found = by_statistics("bn1", declared, 64, advice=lambda: "")
    assert found.verdict is SKIP
    assert found.message == "inputs or running statistics of the first batch norm are NaN or infinite in some channels"
