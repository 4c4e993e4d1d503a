import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.statistics import calibration
from auditor.statistics.paired import (
    calibration_difference,
    calibration_errors,
    difference,
    mcnemar,
)

counts = st.integers(0, 40)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (1, 0), (3, 1), (0, 6), (5, 5), (2, 9), (12, 1)])
def test_mcnemar_counts_every_way_in_which_coins_can_fall(lost, gained):
    n, apart = lost + gained, abs(lost - gained)
    falls = itertools.product((-1, 1), repeat=n)
    as_uneven = sum(abs(sum(fall)) >= apart for fall in falls) / 2**n
    assert mcnemar(lost, gained) == pytest.approx(as_uneven)


def test_mcnemar_of_many_images_is_near_its_normal_limit():
    z = (4200 - 4000 - 1) / math.sqrt(8200)
    assert mcnemar(4000, 4200) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.01)


@given(counts, counts)
def test_mcnemar_does_not_mind_which_network_comes_first(lost, gained):
    assert mcnemar(lost, gained) == mcnemar(gained, lost)
    assert 0 < mcnemar(lost, gained) <= 1


@pytest.mark.parametrize("call", [lambda: mcnemar(-1, 2), lambda: difference(1, -1, 2, 3)])
def test_refuses_what_is_no_count(call):
    with pytest.raises(ValueError, match="have to be at least 0"):
        call()


@given(counts, counts, counts, counts)
def test_the_interval_holds_the_difference_and_turns_round_with_the_networks(both, lost, gained, neither):
    low, high = difference(both, lost, gained, neither)
    if n := both + lost + gained + neither:
        assert -1 <= low <= (gained - lost) / n + 1e-12
        assert (gained - lost) / n - 1e-12 <= high <= 1
    assert difference(both, gained, lost, neither) == pytest.approx((-high, -low))


def test_the_interval_holds_the_truth_in_95_of_100_samples():
    truth = np.array([0.6, 0.12, 0.08, 0.2])
    drawn = np.random.default_rng(0).multinomial(80, truth, size=2000)
    ends = np.array([difference(*map(int, sample)) for sample in drawn])
    covered = ((ends[:, 0] <= -0.04) & (ends[:, 1] >= -0.04)).mean()
    assert 0.94 < covered < 0.98


def answers(n, *, surer=0.0, seed=0):
    random = np.random.default_rng(seed)
    truth = random.uniform(0.4, 0.9, n)
    return np.clip(truth + surer, 0, 1).round(6), (random.random(n) < truth).astype(float)


@pytest.mark.parametrize("n", [1, 20, 501])
@pytest.mark.parametrize("decimals", [1, 6])
def test_the_calibration_error_is_that_of_the_predictions_check(n, decimals):
    sure, right = answers(n)
    sure = sure.round(decimals)
    values, place = np.unique(sure, return_inverse=True)
    fine = np.stack([np.bincount(place, weights=w, minlength=len(values)) for w in (None, sure, right)]).astype(float)
    expected = calibration.error(calibration.equal_mass(fine, 15))
    assert calibration_errors(sure, sure, right, right) == pytest.approx((expected, expected))


def test_a_network_that_became_too_sure_is_told_from_chance():
    (sure, right), (surer, _) = answers(600), answers(600, surer=0.2)
    low, high = calibration_difference(sure, surer, right, right)
    before, after = calibration_errors(sure, surer, right, right)
    assert 0 < low < after - before < high


def test_the_same_answers_differ_in_nothing():
    sure, right = answers(100)
    assert calibration_difference(sure, sure, right, right) == (0, 0)
