import numpy as np
import pytest

from auditor.methods import chance_pairs, dead, duplicates


def random_kernels(count, dimensions, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dimensions, 1, 1)).astype(np.float32)


def test_finds_the_kernel_that_was_scaled_to_nothing():
    kernels = random_kernels(16, 27)
    kernels[5] *= 1e-3
    assert dead(kernels).tolist() == [5]


def test_a_layer_of_zeros_is_dead_throughout():
    assert dead(np.zeros((4, 3, 3, 3))).tolist() == [0, 1, 2, 3]


def test_finds_the_copied_kernel_with_its_index_and_sign():
    kernels = random_kernels(32, 27)
    kernels[20] = -0.5 * kernels[3]
    (pair,) = duplicates(kernels)
    assert (pair.first, pair.second) == (3, 20)
    assert pair.cosine == pytest.approx(-1, abs=1e-6)


def test_a_dead_kernel_duplicates_nothing():
    kernels = random_kernels(8, 27)
    kernels[2] = kernels[6] = 0
    assert duplicates(kernels) == []


@pytest.mark.parametrize(("dimensions", "cosine"), [(2, 0.95), (3, 0.9), (5, 0.8), (9, 0.6)])
def test_chance_agrees_with_random_directions(dimensions, cosine):
    kernels = random_kernels(1500, dimensions, seed=7)
    counted = len(duplicates(kernels, cosine=cosine))
    assert chance_pairs(1500, dimensions, cosine=cosine) == pytest.approx(counted, rel=0.05)


def test_in_one_dimension_all_directions_are_alike():
    assert chance_pairs(5, 1) == 10
