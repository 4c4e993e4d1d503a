import numpy as np
import pytest

from auditor.methods import departure


def drawn(n, mean, deviation, *, c=16, places=50, between=0.3, seed=0):
    """Images whose pixels vary, and whose means vary from image to image as well."""
    random = np.random.default_rng(seed)
    own = mean + between * deviation * random.standard_normal((n, c, 1))
    values = own + np.sqrt(1 - between**2) * deviation * random.standard_normal((n, c, places))
    return values.mean(2), (values**2).mean(2)


def against_training(means, squares, c=16):
    return departure(means, squares, np.full(c, 2.0), np.full(c, 9.0), epsilon=0.0)


def test_mean_and_deviation_are_told_in_units_of_training():
    found = against_training(*drawn(4000, 5.0, 1.5))
    assert found.shift == pytest.approx(np.full(16, 1.0), abs=0.05)
    assert found.stretch == pytest.approx(np.full(16, 0.5), abs=0.02)
    assert found.distance == pytest.approx(np.hypot(1, np.log(2)), abs=0.05)


def test_images_like_those_of_training_are_within_chance_about_as_often_as_said():
    """Corrected for its channels, about one layer in twenty has a channel under 5 %."""
    least = [against_training(*drawn(40, 2.0, 3.0, seed=seed)).p.min() for seed in range(200)]
    assert 0.01 < np.mean(np.array(least) < 0.05) < 0.12


@pytest.mark.parametrize(("mean", "deviation"), [(2.0, 6.0), (2.0, 1.5), (6.0, 3.0), (-4.0, 3.0)])
def test_other_inputs_are_apart_in_every_channel(mean, deviation):
    assert against_training(*drawn(40, mean, deviation)).apart().all()


def test_a_difference_that_chance_would_not_bring_but_that_is_small_is_not_apart():
    found = against_training(*drawn(4000, 2.6, 3.6))
    assert (found.p < 0.01).all()
    assert not found.apart().any()


def test_few_images_that_differ_much_are_within_chance():
    """Images that look unlike each other tell little of their mean."""
    means = np.array([[-40.0] * 16, [10.0] * 16, [60.0] * 16])
    found = against_training(means, means**2 + 9)
    assert (found.shift > 1).all()
    assert not found.apart().any()


def test_channels_that_never_vary_are_alike_or_not():
    still = np.full((30, 2), 2.0)
    found = departure(still, still**2, np.array([2.0, 3.0]), np.zeros(2), epsilon=1e-5)
    assert found.apart().tolist() == [False, True]


def test_a_single_image_is_refused():
    with pytest.raises(ValueError, match="1 images are too few"):
        departure(np.zeros((1, 2)), np.zeros((1, 2)), np.zeros(2), np.ones(2), epsilon=0.0)
