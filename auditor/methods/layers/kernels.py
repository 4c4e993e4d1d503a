"""Dead and duplicate kernels of a layer.

The cosine of two random directions shrinks with the number of dimensions. So a high cosine of short kernels can be due
to chance, and `chance_pairs` gives the number of pairs to expect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Kernels = NDArray[np.floating]

_SKETCHED = 1024  # weights per kernel: the cosines of thousands of longer kernels take minutes
_MARGIN = 0.1  # at least three standard deviations of a cosine between sketches


def dead(kernels: Kernels, *, share: float = 0.01, length: float = 0.01) -> NDArray[np.int64]:
    """Return the numbers of the kernels that are near zero compared with the others of their layer, rising.

    Each of the two criteria finds what the other misses. The median length is near zero if most kernels are dead. A
    kernel of many small weights can be short although none of its weights is small.

    Args:
        kernels: `[k, ...]`.
        share: A kernel is dead if its largest weight is at most this share of the layer's largest weight.
        length: A kernel is dead if its length is below this share of the layer's median length.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> kernels = np.ones((4, 3, 5, 5))
        >>> kernels[2] = 1e-6
        >>> methods.dead(kernels)
        array([2])
    """
    rows = kernels.reshape(len(kernels), -1)
    largest, lengths = np.abs(rows).max(1), norms(rows)
    return np.flatnonzero((largest <= share * largest.max()) | (lengths < length * np.median(lengths)))


def norms(kernels: Kernels) -> NDArray[np.float64]:
    """Return the Euclidean length of each kernel, `[k]`.

    Args:
        kernels: `[k, ...]`.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> methods.norms(np.ones((2, 1, 3, 3)))
        array([3., 3.])
    """
    return np.asarray(np.linalg.norm(kernels.reshape(len(kernels), -1).astype(np.float64), axis=1))


def by_similarity(kernels: Kernels) -> NDArray[np.int64]:
    """Return an order of the kernels, `[k]`, in which those with the same or opposite direction are neighbours.

    The longest comes first. Each is followed by the remaining one with the largest absolute cosine.

    Args:
        kernels: `[k, ...]`.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> kernels = np.array([[3.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> methods.by_similarity(kernels)  # kernel 2 is the opposite of kernel 0
        array([0, 2, 1])
    """
    cosines = np.abs(_cosines(kernels))
    order = [int(norms(kernels).argmax())]
    left = np.ones(len(kernels), dtype=bool)
    for _ in range(1, len(kernels)):
        left[order[-1]] = False
        order.append(int(np.where(left, cosines[order[-1]], -1).argmax()))
    return np.array(order, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two kernels, `first < second`, and the cosine of the angle between them, -1 to 1."""

    first: int
    second: int
    cosine: float


def duplicates(kernels: Kernels, *, cosine: float = 0.95) -> list[Pair]:
    """Return the pairs of kernels with the same or opposite direction, the most similar first.

    Args:
        kernels: `[k, ...]`. Kernels of length 0 are in no pair.
        cosine: The least absolute cosine of a pair.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> methods.duplicates(np.array([[3.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
        [Pair(first=0, second=2, cosine=-1.0)]
    """
    rows = kernels.reshape(len(kernels), -1)
    angles = np.triu(_cosines(_sketched(rows)), 1)
    if rows.shape[1] > _SKETCHED:
        angles = _exactly(rows, np.argwhere(np.abs(angles) >= cosine - _MARGIN))
    first, second = np.nonzero(np.abs(angles) >= cosine)
    pairs = [Pair(int(i), int(j), float(np.clip(angles[i, j], -1, 1))) for i, j in zip(first, second, strict=True)]
    return sorted(pairs, key=lambda p: (-abs(p.cosine), p.first, p.second))


def _sketched(rows: Kernels) -> Kernels:
    """Return the rows, long ones shortened by a count sketch, which roughly keeps the cosines between them.

    M. Charikar, K. Chen, M. Farach-Colton: Finding Frequent Items in Data Streams. 2002.
    """
    if rows.shape[1] <= _SKETCHED:
        return rows
    random, (k, c) = np.random.default_rng(0), rows.shape
    turned = rows[:, random.permutation(c)] * random.choice(np.array([-1, 1], rows.dtype), c)
    padded = np.pad(turned, ((0, 0), (0, -c % _SKETCHED)))
    return np.asarray(padded.reshape(k, -1, _SKETCHED).sum(1))


def _exactly(rows: Kernels, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the cosines of some pairs as `[k, k]`, and 0 for all others."""
    if len(pairs) > len(rows):
        return np.triu(_cosines(rows), 1)
    found = np.zeros((len(rows), len(rows)))
    for i, j in pairs:
        found[i, j] = _cosines(rows[[i, j]])[0, 1]
    return found


def confirmed(pairs: Sequence[Pair], outputs: NDArray[np.float32], *, cosine: float = 0.95) -> list[Pair]:
    """Return the pairs whose outputs are as correlated as their kernels are.

    Args:
        pairs: As from `duplicates`.
        outputs: The outputs of each kernel at `p` places, `[k, p]`.
        cosine: The least correlation, taken times the sign of the pair's cosine.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> pairs = methods.duplicates(np.array([[3.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
        >>> outputs = np.array([[3.0, 6.0, 9.0], [1.0, 0.0, 1.0], [-1.0, -2.0, -3.0]], np.float32)
        >>> methods.confirmed(pairs, outputs) == pairs
        True
    """
    return [pair for pair in pairs if _correlation(outputs, pair) >= cosine]


def _correlation(outputs: NDArray[np.float32], pair: Pair) -> float:
    first, second = outputs[pair.first], outputs[pair.second]
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1] * np.sign(pair.cosine))


def chance_pairs(kernels: int, dimensions: int, *, cosine: float = 0.95) -> float:
    """Return the expected number of pairs of random directions whose absolute cosine is at least `cosine`.

    The cosine of two random directions in `d` dimensions has the density `(1 - x^2)^((d - 3) / 2)`
    up to a constant.

    Args:
        kernels: Number of kernels.
        dimensions: Number of weights of each.

    Examples:
        >>> from auditor import methods
        >>> methods.chance_pairs(64, 1)  # all pairs of single numbers are parallel: 64 * 63 / 2
        2016.0
        >>> methods.chance_pairs(64, 27) < 1e-6  # 3 x 3 x 3 weights
        True
    """
    if dimensions < 2:
        return kernels * (kernels - 1) / 2
    angle = np.linspace(0, np.pi / 2, 20001)  # with x = cos(angle) the density is sin(angle)^(d - 2)
    density = np.sin(angle) ** (dimensions - 2)
    near = density[angle <= np.arccos(cosine)].sum() / density.sum()
    return float(near * kernels * (kernels - 1) / 2)


def _cosines(kernels: Kernels) -> NDArray[np.float64]:
    """Return the cosine of each pair of kernels, 0 for kernels of length 0."""
    rows = kernels.reshape(len(kernels), -1).astype(np.float64)
    length = norms(kernels)[:, None]
    unit = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return np.asarray(unit @ unit.T)
