import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.methods import calibration_of
from auditor.statistics.calibration import equal_mass


def textbook_error(confidence, right, bins):
    """The definition, image by image: sort, cut into bins of equal mass, average the gaps."""
    order = np.argsort(confidence, kind="stable")
    pieces = np.array_split(order, bins)
    gaps = [abs(confidence[p].mean() - right[p].mean()) * len(p) for p in pieces if len(p)]
    return sum(gaps) / len(confidence)


def fine_of(confidence, right):
    order = np.argsort(confidence, kind="stable")
    return np.stack([np.ones(len(order)), confidence[order], right[order].astype(float)])


def test_equals_the_definition_image_by_image():
    random = np.random.default_rng(0)
    confidence = random.uniform(0.3, 1, 600)
    right = random.uniform(size=600) < confidence**2
    found = calibration_of(fine_of(confidence, right), draws=10)
    assert found.error == pytest.approx(textbook_error(confidence, right, 15), abs=1e-12)
    assert found.counts.tolist() == [40.0] * 15


def test_an_overconfident_network_is_beyond_chance():
    random = np.random.default_rng(1)
    confidence = random.uniform(0.8, 1, 500)
    right = random.uniform(size=500) < confidence - 0.3
    found = calibration_of(fine_of(confidence, right))
    assert found.error > found.by_chance
    assert found.interval[0] < found.error < found.interval[1] + 0.05
    assert found.error == pytest.approx(0.3, abs=0.05)


def test_calibrated_networks_stay_within_chance_as_often_as_said():
    random = np.random.default_rng(2)
    within = 0
    for trial in range(60):
        confidence = random.uniform(0.2, 1, 60)
        right = random.uniform(size=60) < confidence
        found = calibration_of(fine_of(confidence, right), draws=100, seed=trial)
        within += found.error <= found.by_chance
    assert within >= 50  # 95 % of 60 is 57


def test_refuses_to_judge_nothing():
    with pytest.raises(ValueError, match="no predictions"):
        calibration_of(np.zeros((3, 8)))


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.integers(1, 20))
def test_bins_keep_every_image(counts, bins):
    count = np.array(counts, float)
    fine = np.stack([count, count * 0.5, count * 0.25])
    coarse = equal_mass(fine[:, count > 0], bins) if count.any() else fine[:, :0]
    assert coarse.shape[1] <= bins
    np.testing.assert_allclose(coarse.sum(1), fine.sum(1))


def test_the_interval_holds_the_value_it_is_about():
    random = np.random.default_rng(5)
    outside = 0
    for trial in range(40):
        confidence = random.uniform(0.3, 1, 400)
        right = random.uniform(size=400) < confidence - 0.2
        found = calibration_of(fine_of(confidence, right), draws=200, seed=trial)
        outside += not found.interval[0] <= found.error <= found.interval[1]
    assert outside == 0
