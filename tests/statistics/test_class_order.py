import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.statistics.class_order import best_order, reordered, right


def confused(truth, answers, k):
    counts = np.zeros((k, k), np.int64)
    np.add.at(counts, (truth, answers), 1)
    return counts


def guesses(k, each, seed):
    """A network that answers anything."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(k), each)
    return confused(truth, random.integers(0, k, len(truth)), k)


def shuffled(order, k, each, seed, *, share=0.9):
    """A network that is right in this share of the images, if `order` says which class each answer stands for."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(k), each)
    meant = np.where(random.random(len(truth)) < share, truth, random.integers(0, k, len(truth)))
    return confused(truth, np.argsort(order)[meant], k)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(0, 1000))
def test_the_best_order_is_the_best_of_all_that_there_are(k, seed):
    confusion = np.random.default_rng(seed).integers(0, 9, (k, k))
    found = best_order(confusion, np.arange(k))
    every = [sum(confusion[order[a], a] for a in range(k)) for order in itertools.permutations(range(k))]
    assert sorted(found) == list(range(k))
    assert right(confusion, found) == max(every)


def test_classes_stay_where_nothing_is_won_by_moving_them():
    assert best_order(np.full((6, 6), 3), np.arange(6)).tolist() == list(range(6))


def test_only_the_classes_that_may_move_do():
    confusion = shuffled(np.array([1, 2, 3, 0]), 4, 30, seed=0)
    assert best_order(confusion, np.array([0, 1]))[2:].tolist() == [2, 3]


@pytest.mark.parametrize("order", [[1, 0], [1, 2, 3, 0], [0, 2, 1, 3, 4], [9, 0, 1, 2, 3, 4, 5, 6, 7, 8]])
def test_a_planted_order_is_found_and_beyond_chance(order):
    k = len(order)
    found = reordered(shuffled(np.array(order), k, 40, seed=1), np.arange(k))
    assert found.order.tolist() == order
    assert found.p < 0.01
    assert found.interval[0] < found.better - found.given < found.interval[1]
    assert found.better == pytest.approx(0.9, abs=0.08)


@pytest.mark.parametrize("k", [2, 10, 60])
def test_what_guessing_wins_by_choice_is_not_beyond_chance(k):
    """The best order of a guess is far above the given one on its own images, and on others it is not."""
    for seed in range(20):
        found = reordered(guesses(k, 20, seed), np.arange(k), seed=seed)
        assert found.p > 0.01
    confusion = guesses(60, 20, 0)
    assert right(confusion, best_order(confusion, np.arange(60))) > 2.5 * np.trace(confusion)


def test_a_sound_network_gains_nothing():
    found = reordered(shuffled(np.arange(8), 8, 30, seed=2), np.arange(8))
    assert found.order.tolist() == list(range(8))
    assert (found.p, found.better) == (1, found.given)


def test_answers_of_classes_without_images_count_as_wrong():
    confusion = np.zeros((3, 3), np.int64)
    confusion[:2] = [[10, 0, 30], [0, 10, 30]]
    found = reordered(confusion, np.array([0, 1]))
    assert found.given == found.better == pytest.approx(0.25, abs=0.1)


def test_the_halves_depend_on_the_seed_alone():
    confusion = guesses(10, 20, 0)
    first, again, other = (reordered(confusion, np.arange(10), seed=seed) for seed in (1, 1, 2))
    assert (first.p, first.given, first.better) == (again.p, again.given, again.better)
    assert (first.given, first.better) != (other.given, other.better)
