import pytest
from scipy.stats import kstest

from auditor.statistics.uniformity import uniform_probability


@pytest.mark.parametrize("n", [5, 64, 3000, 200_000])
@pytest.mark.parametrize("power", [0.8, 0.97, 1.0, 1.02, 1.5])
def test_gives_the_probability_that_scipy_gives(random, n, power):
    values = random.random(n) ** power
    expected = kstest(values, "uniform").pvalue
    exact = expected < 0.05 and n < 100_000
    assert uniform_probability(values) == pytest.approx(expected, rel=1e-4 if exact else 0.15, abs=1e-3 * (not exact))


def test_draws_that_stop_short_of_the_bounds_are_improbable(random):
    assert uniform_probability(0.1 + 0.8 * random.random(500)) < 1e-3
