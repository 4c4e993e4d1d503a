"""A sparse confusion matrix, compared with the full one."""

import tracemalloc

import numpy as np
import pytest

from auditor.statistics.confusion import NONE, Confusion


@pytest.fixture(params=range(3))
def both(request):
    random = np.random.default_rng(request.param)
    full = random.poisson(0.6, (7, 7)).astype(np.int64)
    return full, Confusion.full(full)


def test_its_sums_are_those_of_the_full_matrix(both):
    full, sparse = both
    assert sparse.total == full.sum()
    assert sparse.by_true.tolist() == full.sum(1).tolist()
    assert sparse.by_predicted.tolist() == full.sum(0).tolist()
    assert sparse.correct.tolist() == np.diag(full).tolist()
    assert [sparse.of_class(c).tolist() for c in range(7)] == full.tolist()
    rows, cols = np.indices((7, 7)).reshape(2, -1)
    assert sparse.at(rows, cols).tolist() == full.ravel().tolist()


def test_the_matrix_of_some_classes_has_all_others_at_its_end(both):
    full, sparse = both
    chosen, rest = np.array([5, 1, 2]), [0, 3, 4, 6]
    found = sparse.among(chosen)
    assert found[:3, :3].tolist() == full[np.ix_(chosen, chosen)].tolist()
    assert found[:3, 3].tolist() == full[np.ix_(chosen, rest)].sum(1).tolist()
    assert found.sum() == full.sum()


def test_adding_is_the_same_in_any_order(both):
    full, sparse = both
    other = Confusion.of(np.array([6, 6, 0]), np.array([0, 0, 3]), 7)
    one, reverse = NONE.plus(sparse).plus(other), other.plus(sparse)
    assert one.cells.tolist() == reverse.cells.tolist()
    assert one.counts.tolist() == reverse.counts.tolist()
    full[6, 0] += 2
    full[0, 3] += 1
    assert [one.of_class(c).tolist() for c in range(7)] == full.tolist()


def test_the_most_frequent_confusions_come_first_and_ties_by_class():
    full = np.array([[9, 2, 1], [2, 9, 0], [0, 3, 9]])
    assert Confusion.full(full).most_confused(3) == [(2, 1, 3), (0, 1, 2), (1, 0, 2)]


def test_without_images_everything_is_zero():
    assert NONE.total == 0
    assert Confusion(3, NONE.cells, NONE.counts).at(np.array([1]), np.array([2])).tolist() == [0]
    assert NONE.most_confused(3) == []


def test_many_classes_take_memory_by_the_pairs_that_occur():
    random = np.random.default_rng(0)
    tracemalloc.start()
    found = NONE
    for _ in range(10):
        found = found.plus(Confusion.of(random.integers(0, 22_000, 100), random.integers(0, 22_000, 100), 22_000))
    assert found.total == 1000
    assert found.among(np.arange(20)).sum() == 1000
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**22
