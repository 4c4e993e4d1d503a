import numpy as np
import pytest

from auditor.methods import border


def maps(n, at_border, inside=2.0, noise=0.0, seed=0):
    found = np.full((n, 8, 10), at_border)
    found[:, 1:-1, 1:-1] = inside
    return found * np.exp(noise * np.random.default_rng(seed).standard_normal((n, 1, 1)))


@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.0])
def test_a_planted_border_is_measured(ratio):
    found = border(maps(4, 2.0 * ratio))
    assert found.ratio == pytest.approx(ratio)
    assert found.interval == pytest.approx((ratio, ratio))
    assert found.images == 4


def test_brighter_images_are_compared_with_themselves():
    assert border(maps(6, 1.0, noise=2.0)).interval == pytest.approx((0.5, 0.5))


def test_the_interval_holds_the_truth_in_95_of_100_samples():
    random, held = np.random.default_rng(0), 0
    for _sample in range(1000):
        found = maps(6, 1.0)
        found[:, 1:-1, 1:-1] *= np.exp(0.3 * random.standard_normal((6, 1, 1)))
        low, high = border(found).interval
        held += low <= 0.5 <= high
    assert 930 < held < 970


def test_images_without_a_response_tell_nothing():
    found = maps(5, 1.0)
    found[0] = 0
    assert border(found).images == 4
    assert border(found[:2]) is None


def test_maps_that_are_all_border_are_refused():
    with pytest.raises(ValueError, match="4 x 9, but need at least 5"):
        border(np.ones((3, 4, 9)))
