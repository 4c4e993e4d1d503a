import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from auditor.methods import holm, majority, never, wilson


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_agrees_with_scipy(count):
    hits, n = count
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_nothing_counted_is_nothing_known():
    assert wilson(0, 0) == (0.0, 1.0)


def test_refuses_more_hits_than_trials():
    with pytest.raises(ValueError, match="hits is 3, but has to be from 0 to n, which is 2"):
        wilson(3, 2)


@given(st.integers(1, 5000))
def test_what_was_never_seen_is_as_rare_as_scipy_says(n):
    expected = binomtest(0, n, alternative="less").proportion_ci(confidence_level=0.95, method="exact")
    assert never(n) == pytest.approx(expected.high)
    assert never(n) < 3 / n


def test_nothing_looked_at_is_never_rare():
    assert never(0) == 1


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_majority_is_as_sure_as_scipy_says(count):
    hits, n = count
    assert majority(hits, n) == pytest.approx(binomtest(hits, n, alternative="greater").pvalue)


def test_holm_by_hand():
    """The example of three tests: the least counts thrice, the next twice, and none less than one before it."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


def test_holm_errs_in_one_of_twenty_families_at_most():
    random = np.random.default_rng(0)
    least = [min(holm(random.uniform(size=30).tolist())) for _family in range(2000)]
    assert 0.03 < np.mean(np.array(least) < 0.05) < 0.065
