import numpy as np
import pytest
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score

from auditor.statistics.spectral import affinity, spectral_clusters


def blobs(random, count, each=14):
    """Return points around so many centres that are far apart, and whose centre each one is."""
    centres = 12 * np.eye(10)[:count]
    labels = random.permutation(np.repeat(np.arange(count), each))
    return centres[labels] + random.normal(size=(len(labels), 10)), labels


@pytest.mark.parametrize("count", [2, 3, 5])
def test_finds_planted_groups_and_how_many_there_are(random, count):
    points, labels = blobs(random, count)
    found = spectral_clusters(points)
    assert found.count == count
    assert adjusted_rand_score(found.labels, labels) == 1


def test_points_without_groups_are_one_cluster(random):
    assert spectral_clusters(random.normal(size=(40, 10))).count == 1


@pytest.mark.parametrize("neighbours", [8, 12])
def test_agrees_with_scikit_learn_where_groups_touch(random, neighbours):
    """Two half moons, which k-means of the points themselves would cut across."""
    angles = random.uniform(0, np.pi, 60)
    upper = np.stack([np.cos(angles[:30]), np.sin(angles[:30])], 1)
    lower = np.stack([1 - np.cos(angles[30:]), 0.3 - np.sin(angles[30:])], 1)
    points = np.concatenate([upper, lower]) + random.normal(scale=0.05, size=(60, 2))
    found = spectral_clusters(points, most=2, neighbours=neighbours)
    reference = SpectralClustering(2, affinity="precomputed", random_state=0).fit_predict(affinity(points, neighbours))
    assert found.count == 2
    assert adjusted_rand_score(found.labels, reference) > 0.9


def test_affinity_is_that_of_scikit_learn(random):
    points = random.normal(size=(25, 4))
    reference = SpectralClustering(2, affinity="nearest_neighbors", n_neighbors=6, random_state=0).fit(points)
    np.testing.assert_array_equal(affinity(points, 6), reference.affinity_matrix_.toarray())


def test_zero_eigenvalues_count_the_separate_groups(random):
    values = spectral_clusters(blobs(random, 3)[0]).eigenvalues
    assert (values[:3] == 0).all()
    assert values[3] > 0.1
    assert values.max() <= 2


def test_the_largest_cluster_comes_first(random):
    points = np.concatenate([np.zeros((10, 4)), np.full((20, 4), 50.0)]) + random.normal(size=(30, 4))
    assert spectral_clusters(points, most=2).labels.tolist() == [1] * 10 + [0] * 20


def test_the_same_points_are_one_cluster_and_two_runs_agree(random):
    assert spectral_clusters(np.ones((9, 3))).count == 1
    points = random.normal(size=(30, 5))
    np.testing.assert_array_equal(spectral_clusters(points).labels, spectral_clusters(points).labels)


@pytest.mark.parametrize("points", [np.zeros((1, 2)), np.array([[0.0], [np.nan]])])
def test_refuses_what_can_t_be_put_into_clusters(points):
    with pytest.raises(ValueError, match="can't be clustered"):
        spectral_clusters(points)
