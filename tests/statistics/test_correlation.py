import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from auditor.methods import rank_correlation

NUMBERS = st.lists(st.integers(-5, 5), min_size=3, max_size=40)


@given(NUMBERS.flatmap(lambda a: st.tuples(st.just(a), st.permutations(a))))
def test_agrees_with_scipy(pair):
    a, b = (np.array(values, float) for values in pair)
    if len(set(a.tolist())) == 1:
        assert math.isnan(rank_correlation(a, b))
    else:
        assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=30, unique=True))
def test_is_one_under_any_rising_function_and_minus_one_under_a_falling_one(values):
    a = np.array(values)
    assert rank_correlation(a, np.arctan(a / 10) * 0 + np.argsort(np.argsort(a))) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
