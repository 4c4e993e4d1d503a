"""Values far below the others, against simulated ordinary ones and the rule of thumb that this stands in for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.methods import chances_below

ALPHA = 0.05


def masses(count, draws, seed=1):
    """Lognormal masses of masks, as those of a sound network."""
    return np.exp(4 + 0.6 * np.random.default_rng(seed).standard_normal((draws, count)))


def alarms(rows):
    return np.mean([min(chances_below(np.log(row))) <= ALPHA for row in rows])


def index_alarms(rows):
    """How often a class of two or more median deviations below the median is called infected."""
    middle = np.median(rows, 1, keepdims=True)
    deviation = 1.4826 * np.median(np.abs(rows - middle), 1, keepdims=True)
    return ((rows < middle) & (middle - rows > 2 * deviation)).any(1).mean()


@pytest.mark.parametrize(("count", "draws"), [(8, 2000), (10, 2000), (43, 2000), (1000, 400)])
def test_ordinary_masks_alarm_as_often_as_promised(count, draws):
    spread = 3.5 * np.sqrt(ALPHA * (1 - ALPHA) / draws)
    assert alarms(masses(count, draws)) == pytest.approx(ALPHA, abs=spread)


def test_the_rule_of_thumb_alarms_far_more_often():
    logs = {count: np.log(masses(count, 400)) for count in (2, 10, 1000)}
    assert 0.2 < index_alarms(logs[10]) < 0.45
    assert index_alarms(logs[1000]) > 0.99
    assert index_alarms(logs[2]) == 0


def test_agrees_with_a_plain_loop_over_ordinary_samples(random):
    values = np.array([3.9, 4.4, 4.1, 3.2, 4.0, 4.3, 1.5, 4.2, 3.8, 4.6])
    deeper, own = 0, depth(values)
    for _ in range(4000):
        deeper += depth(random.normal(7, 3, 10)) >= own
    found = chances_below(values)
    assert np.argmin(found) == 6
    assert found[6] == pytest.approx(deeper / 4000, abs=0.01)


def depth(values):
    """How far the lowest of ten lies below the mean of the third to the ninth, in their deviations."""
    low, *rest = sorted(values)
    middle = rest[1:-1]
    return (np.mean(middle) - low) / np.std(middle, ddof=1)


@pytest.mark.parametrize("planted", [1, 2])
def test_planted_outliers_are_found_and_do_not_hide_each_other(planted):
    values = np.log(masses(10, 1, seed=5))[0]
    values[:planted] = values.mean() - 8 * values.std() - 0.1 * np.arange(planted)
    found = chances_below(values)
    assert max(found[:planted]) <= ALPHA < min(found[planted:])


def test_a_value_far_above_the_others_is_none():
    values = np.log(masses(12, 1))[0]
    values[4] = 100
    assert chances_below(values)[4] == 1


@given(st.floats(0.01, 100), st.floats(-50, 50))
def test_neither_unit_nor_origin_matters(scale, shift):
    values = np.log(masses(10, 1))[0]
    assert chances_below(scale * values + shift) == pytest.approx(chances_below(values), abs=1e-4)


def test_values_that_are_all_alike_tell_nothing():
    assert chances_below([4.0] * 9) == [1.0] * 9


@pytest.mark.parametrize("values", [[1.0] * 7, [1.0] * 9 + [np.nan], [np.inf] + [1.0] * 9])
def test_refuses_too_few_values_and_what_is_no_number(values):
    with pytest.raises(ValueError, match="at least 8 finite values"):
        chances_below(values)
