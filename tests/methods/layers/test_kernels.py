import numpy as np
import pytest

from auditor.methods import by_similarity, chance_pairs, confirmed, dead, duplicates, norms
from auditor.methods.layers.kernels import Pair


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


def test_a_kernel_of_many_small_weights_is_found_by_its_length():
    kernels = np.zeros((9, 100))
    kernels[:8, 0] = 1  # one weight each
    kernels[8] = 0.0005  # ten times as short as 1 % of that, though 100 weights hold it
    assert dead(kernels, share=0.0).tolist() == [8]
    assert dead(kernels, share=0.0, length=0.001).tolist() == []


def test_in_a_layer_that_is_mostly_dead_the_largest_weight_tells():
    kernels = random_kernels(10, 27)
    kernels[2:] *= 1e-5
    assert dead(kernels).tolist() == list(range(2, 10))


def test_the_norm_is_the_root_of_the_sum_of_squares():
    assert norms(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [5, 0]


def test_kernels_that_are_alike_stand_together():
    kernels = random_kernels(12, 27)
    kernels[9], kernels[7] = -2 * kernels[1], kernels[4] * 0.5
    order = by_similarity(kernels).tolist()
    assert order[0] == 9  # the longest
    assert sorted(order) == list(range(12))
    assert abs(order.index(9) - order.index(1)) == abs(order.index(7) - order.index(4)) == 1


@pytest.mark.parametrize("count", [1, 2])
def test_an_order_of_few_kernels(count):
    assert sorted(by_similarity(random_kernels(count, 9)).tolist()) == list(range(count))


def test_pairs_are_confirmed_by_outputs_of_the_sign_that_the_kernels_have():
    signal, other = random_kernels(2, 200).reshape(2, 200)
    outputs = np.stack([signal, -signal + 0.1 * other, other, signal])
    pairs = [Pair(0, 1, -1.0), Pair(0, 2, 0.99), Pair(0, 3, -0.99)]
    assert confirmed(pairs, outputs) == [pairs[0]]


def test_silent_outputs_confirm_nothing():
    assert confirmed([Pair(0, 1, 1.0)], np.zeros((2, 50), np.float32)) == []


def test_long_kernels_have_the_same_duplicates_as_short_ones():
    kernels = np.random.default_rng(0).normal(size=(40, 3000)).astype(np.float32)
    kernels[7], kernels[9] = -2 * kernels[3], kernels[5] + 0.2 * kernels[6]
    found = {(pair.first, pair.second): pair.cosine for pair in duplicates(kernels)}
    assert found == {(3, 7): pytest.approx(-1), (5, 9): pytest.approx(1 / np.sqrt(1.04), abs=0.01)}
