import itertools
import math

import numpy as np
import pytest
import scipy.stats

from auditor.statistics.wilcoxon import above_others, fewest, median_interval


@pytest.mark.parametrize("seed", range(4))
def test_is_the_share_of_all_ways_to_draw_one_value_of_each_group_that_rank_as_high(seed):
    groups = np.random.default_rng(seed).integers(0, 6, (4, 5)).astype(float)  # with equal values
    ranks = scipy.stats.rankdata(groups, axis=0)
    sums = [ranks[list(drawn), range(5)].sum() for drawn in itertools.product(range(4), repeat=5)]
    assert above_others(groups[0], groups[1:]) == pytest.approx(np.mean(np.array(sums) >= ranks[0].sum()))


def test_with_one_other_value_it_is_the_sign_test():
    values = np.random.default_rng(1).normal(size=(2, 30))
    hits = int((values[0] > values[1]).sum())
    expected = scipy.stats.binomtest(hits, 30, alternative="greater").pvalue
    assert above_others(values[0], values[1:]) == pytest.approx(expected)


def test_groups_of_equals_say_nothing():
    own, others = np.array([1.0, 2.0, 3.0]), np.array([[1.0, 0.0, 0.0]] * 3)
    assert above_others(own, others) == above_others(own[1:], others[:, 1:]) == 1 / 16
    assert above_others(np.ones(2), np.ones((3, 2))) == 1
    assert above_others(np.ones(0), np.ones((3, 0))) == 1


@pytest.mark.parametrize("sign", [1, -1])
def test_skewed_values_are_called_high_no_more_often_than_was_asked_for(sign):
    random = np.random.default_rng(0)
    samples = sign * random.lognormal(size=(2000, 4, 40))
    found = [above_others(sample[0], sample[1:]) for sample in samples]
    assert np.mean(np.array(found) <= 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 2000)


def test_many_groups_overflow_nothing():
    values = np.random.default_rng(0).normal(size=(4, 1200)) + 0.1 * np.array([[1], [0], [0], [0]])
    wins = (values[0] > values[1:]).sum(0)
    normal = scipy.stats.norm.sf((wins - 1.5).sum() / np.sqrt(1200 * 1.25))
    assert above_others(values[0], values[1:]) == pytest.approx(normal, rel=0.05)


@pytest.mark.parametrize("error", [0.05, 0.025, 0.05 / 6])
def test_so_few_are_enough_and_fewer_are_not(error):
    n = fewest(error)
    assert above_others(np.ones(n), np.zeros((1, n))) <= error < above_others(np.ones(n - 1), np.zeros((1, n - 1)))


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
