import math

import numpy as np
import pytest
import scipy.stats

from auditor.methods.wilcoxon import fewest, median_interval, signed_rank


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [3, 8, 21])
def test_is_what_scipy_computes_exactly(seed, n):
    differences = np.random.default_rng(seed).normal(0.3, 1, n)
    expected = scipy.stats.wilcoxon(differences, alternative="greater", method="exact").pvalue
    assert signed_rank(differences.tolist()) == pytest.approx(expected)


def test_is_exact_where_sizes_are_equal():
    """Ranks 1.5, 1.5, 3: of the eight ways to set signs two give 4.5 or more."""
    assert signed_rank([-1.0, 1.0, 2.0]) == 3 / 8  # 4.5, 4.5 and 6
    assert signed_rank([1.0, 1.0, 1.0]) == 1 / 8


def test_differences_of_zero_say_nothing():
    assert signed_rank([0.0, 0.0, 2.0, 3.0]) == signed_rank([2.0, 3.0]) == 1 / 4
    assert signed_rank([0.0, 0.0]) == 1
    assert signed_rank([]) == 1


def test_many_differences_overflow_nothing():
    differences = np.random.default_rng(0).normal(0.1, 1, 1200)
    expected = scipy.stats.wilcoxon(differences, alternative="greater", method="approx").pvalue
    assert signed_rank(differences.tolist()) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("error", [0.05, 0.025, 0.05 / 6])
def test_so_few_are_enough_and_fewer_are_not(error):
    n = fewest(error)
    assert signed_rank([1.0] * n) <= error < signed_rank([1.0] * (n - 1))


@pytest.mark.parametrize("n", [6, 8, 9, 25])
def test_the_interval_of_a_median_holds_it_with_95_percent_and_no_narrower_one_does(n):
    low, high = median_interval([float(value) for value in range(n)])
    outside = int(low)
    assert int(high) == n - 1 - outside
    assert 1 - 2 * scipy.stats.binom.cdf(outside, n, 0.5) >= 0.95
    assert 1 - 2 * scipy.stats.binom.cdf(outside + 1, n, 0.5) < 0.95


def test_of_five_values_no_interval_is_sure_enough():
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
    assert not math.isnan(median_interval([1.0] * 6)[0])
