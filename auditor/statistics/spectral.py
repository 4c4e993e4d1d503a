"""Spectral clustering: groups of points that are near each other, of any shape.

U. von Luxburg: A Tutorial on Spectral Clustering. Statistics and Computing 17, 2007 (normalised Laplacian, eigengap).
A. Ng, M. Jordan, Y. Weiss: On Spectral Clustering. NeurIPS 2001 (rows of unit length).
S. Lapuschkin et al.: Unmasking Clever Hans Predictors. Nature Communications 10, 2019 (of relevance maps: SpRAy).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from numpy.typing import NDArray

_STARTS = 10  # of k-means; the best is kept
_ROUNDS = 100
_NOTHING = 1e-9  # an eigenvalue under this is zero


@dataclass(frozen=True, eq=False)
class Clusters:
    """The cluster of each point.

    Attributes:
        labels: From 0, the largest cluster first, `[n]`.
        eigenvalues: Of the normalised Laplacian, rising, 0 to 2, `[n]`. There is one zero for each separate group.
    """

    labels: Int64[NDArray[np.int64], " n"]
    eigenvalues: Float[NDArray[np.float64], " n"]

    @property
    def count(self) -> int:
        return int(self.labels.max()) + 1


def spectral_clusters(
    points: Float[NDArray[np.floating], "n d"], *, most: int = 6, neighbours: int | None = None, seed: int = 0
) -> Clusters:
    """Cluster points. The largest gap between the first eigenvalues gives the number of clusters.

    Args:
        points: `[n, d]`.
        most: The largest number of clusters.
        neighbours: How many nearest points each point is connected to; None for the square root of their number.
        seed: Seed of k-means.

    Raises:
        ValueError: There are fewer than two points, or one is not finite.
    """
    if len(points) < 2 or not np.isfinite(points).all():
        raise ValueError(f"{len(points)} points can't be clustered: at least two are needed, and all have to be finite")
    joined = affinity(points, neighbours or math.ceil(math.sqrt(len(points))))
    values, vectors = np.linalg.eigh(_laplacian(joined))
    values = np.where(values < _NOTHING, 0.0, values)
    count = _by_eigengap(values, min(most, len(points) - 1))
    rows = vectors[:, :count] / np.maximum(np.linalg.norm(vectors[:, :count], axis=1, keepdims=True), _NOTHING)
    return Clusters(_largest_first(_k_means(rows, count, np.random.default_rng(seed))), values)


def affinity(points: Float[NDArray[np.floating], "n d"], neighbours: int) -> Float[NDArray[np.float64], "n n"]:
    """Return the affinity `[n, n]`: 1 if two points are both among the nearest of each other, 0.5 if only one is.

    Each point counts as its own nearest. Of equally near points the first ones are taken.
    """
    squares = _squares(points.astype(np.float64), points.astype(np.float64))
    np.fill_diagonal(squares, -1.0)  # each point is its own nearest, even among duplicates
    nearest = np.argsort(squares, axis=1, kind="stable")[:, :neighbours]
    near = np.zeros(squares.shape)
    np.put_along_axis(near, nearest, 1.0, axis=1)
    return np.asarray((near + near.T) / 2)


def _squares(
    a: Float[NDArray[np.float64], "n d"], b: Float[NDArray[np.float64], "k d"]
) -> Float[NDArray[np.float64], "n k"]:
    return np.asarray(((a[:, None] - b[None]) ** 2).sum(2))


def _laplacian(joined: Float[NDArray[np.float64], "n n"]) -> Float[NDArray[np.float64], "n n"]:
    apart = joined - np.diag(joined.diagonal())
    degrees = np.maximum(apart.sum(1), _NOTHING)
    return np.asarray(np.eye(len(apart)) - apart / np.sqrt(np.outer(degrees, degrees)))


def _by_eigengap(values: Float[NDArray[np.float64], " n"], most: int) -> int:
    return int(np.argmax(np.diff(values[: most + 1]))) + 1


def _k_means(
    rows: Float[NDArray[np.float64], "n k"], count: int, random: np.random.Generator
) -> Int64[NDArray[np.int64], " n"]:
    runs = [_one_k_means(rows, _far_apart(rows, count, random)) for start in range(_STARTS)]
    return min(runs, key=lambda run: run[1])[0]


def _far_apart(
    rows: Float[NDArray[np.float64], "n k"], count: int, random: np.random.Generator
) -> Float[NDArray[np.float64], "count k"]:
    """Return initial centres, each drawn in proportion to its squared distance from those before (k-means++)."""
    chosen = [int(random.integers(len(rows)))]
    for more in range(1, count):  # `more` have been chosen
        distance = _squares(rows, rows[chosen]).min(1)
        total = distance.sum()
        chosen.append(int(random.choice(len(rows), p=distance / total)) if total > 0 else chosen[more - 1])
    return rows[chosen]


def _one_k_means(
    rows: Float[NDArray[np.float64], "n k"], centres: Float[NDArray[np.float64], "count k"]
) -> tuple[Int64[NDArray[np.int64], " n"], float]:
    """Return the labels, and the sum of the squared distances to the centres."""
    labels = np.full(len(rows), -1)
    for round_ in range(_ROUNDS):
        distances = _squares(rows, centres)
        found = distances.argmin(1)
        if round_ and (found == labels).all():
            break
        labels = found
        centres = np.stack(
            [rows[labels == c].mean(0) if (labels == c).any() else centres[c] for c in range(len(centres))]
        )
    return labels.astype(np.int64), float(distances.min(1).sum())


def _largest_first(labels: Int64[NDArray[np.int64], " n"]) -> Int64[NDArray[np.int64], " n"]:
    found, first, counts = np.unique(labels, return_index=True, return_counts=True)
    order = found[np.lexsort((first, -counts))]
    return np.asarray(np.argsort(order)[np.searchsorted(np.sort(order), labels)], dtype=np.int64)
