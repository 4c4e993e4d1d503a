import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from auditor.methods import wilson


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_agrees_with_scipy(count):
    hits, n = count
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_nothing_counted_is_nothing_known():
    assert wilson(0, 0) == (0.0, 1.0)


def test_refuses_more_hits_than_trials():
    with pytest.raises(ValueError, match="no count"):
        wilson(3, 2)
