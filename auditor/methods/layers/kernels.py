"""Kernels that learnt nothing, and kernels that learnt the same.

The cosine of two random directions shrinks with the number of dimensions, so that a high one means
little for short kernels: how many pairs chance alone would give is part of the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Kernels = NDArray[np.floating]

_SKETCHED = 1024  # numbers a kernel: the cosines of longer ones take minutes where they are thousands
_MARGIN = 0.1  # three standard deviations of a cosine between sketches, at the most


def dead(kernels: Kernels, *, share: float = 0.01, length: float = 0.01) -> NDArray[np.int64]:
    """Return the kernels that are near zero beside the others of their layer.

    Each of the two criteria sees what the other can't: a layer most of whose kernels are dead has a median near
    zero, and kernels of many small weights are short without one of them being small.

    Args:
        kernels: `[k, ...]`.
        share: Of the layer's largest weight, which their own does not exceed.
        length: Of the layer's median length, under which theirs lies.
    """
    rows = kernels.reshape(len(kernels), -1)
    largest, lengths = np.abs(rows).max(1), norms(rows)
    return np.flatnonzero((largest <= share * largest.max()) | (lengths < length * np.median(lengths)))


def norms(kernels: Kernels) -> NDArray[np.float64]:
    """Return the Euclidean length of each kernel.

    Args:
        kernels: `[k, ...]`.
    """
    return np.asarray(np.linalg.norm(kernels.reshape(len(kernels), -1).astype(np.float64), axis=1))


def by_similarity(kernels: Kernels) -> NDArray[np.int64]:
    """Return an order in which kernels that point the same or the opposite way stand together.

    The longest comes first, and behind each the nearest, in absolute cosine, of those that are left.

    Args:
        kernels: `[k, ...]`.
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
    """Two kernels `first < second`, and the cosine of the angle between them, -1 to 1."""

    first: int
    second: int
    cosine: float


def duplicates(kernels: Kernels, *, cosine: float = 0.95) -> list[Pair]:
    """Return the pairs of kernels that point the same way or the opposite way, most alike first.

    Args:
        kernels: `[k, ...]`; kernels without length are in no pair.
        cosine: The smallest absolute cosine of a pair.
    """
    rows = kernels.reshape(len(kernels), -1)
    angles = np.triu(_cosines(_sketched(rows)), 1)
    if rows.shape[1] > _SKETCHED:
        angles = _exactly(rows, np.argwhere(np.abs(angles) >= cosine - _MARGIN))
    first, second = np.nonzero(np.abs(angles) >= cosine)
    pairs = [Pair(int(i), int(j), float(np.clip(angles[i, j], -1, 1))) for i, j in zip(first, second, strict=True)]
    return sorted(pairs, key=lambda p: (-abs(p.cosine), p.first, p.second))


def _sketched(rows: Kernels) -> Kernels:
    """Return the rows, long ones shortened so that the cosines between them stay about the same (count sketch).

    M. Charikar, K. Chen, M. Farach-Colton: Finding Frequent Items in Data Streams. 2002.
    """
    if rows.shape[1] <= _SKETCHED:
        return rows
    random, (k, c) = np.random.default_rng(0), rows.shape
    turned = rows[:, random.permutation(c)] * random.choice(np.array([-1, 1], rows.dtype), c)
    padded = np.pad(turned, ((0, 0), (0, -c % _SKETCHED)))
    return np.asarray(padded.reshape(k, -1, _SKETCHED).sum(1))


def _exactly(rows: Kernels, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the cosines of some pairs, `[k, k]`, and 0 for all others."""
    if len(pairs) > len(rows):
        return np.triu(_cosines(rows), 1)
    found = np.zeros((len(rows), len(rows)))
    for i, j in pairs:
        found[i, j] = _cosines(rows[[i, j]])[0, 1]
    return found


def confirmed(pairs: Sequence[Pair], outputs: NDArray[np.float32], *, cosine: float = 0.95) -> list[Pair]:
    """Return the pairs whose outputs go together as their kernels promise.

    Args:
        outputs: `[k, p]`, what each kernel gives at `p` places.
        cosine: The smallest correlation, turned so that 1 is what the kernels promise.
    """
    return [pair for pair in pairs if _correlation(outputs, pair) >= cosine]


def _correlation(outputs: NDArray[np.float32], pair: Pair) -> float:
    first, second = outputs[pair.first], outputs[pair.second]
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1] * np.sign(pair.cosine))


def chance_pairs(kernels: int, dimensions: int, *, cosine: float = 0.95) -> float:
    """Return how many pairs of random directions are expected to be as alike, in absolute cosine.

    The cosine of two random directions in `d` dimensions has the density `(1 - x^2)^((d - 3) / 2)`
    up to a constant.
    """
    if dimensions < 2:
        return kernels * (kernels - 1) / 2
    angle = np.linspace(0, np.pi / 2, 20001)  # of cosine x = cos(angle), where the density is sin(angle)^(d - 2)
    density = np.sin(angle) ** (dimensions - 2)
    near = density[angle <= np.arccos(cosine)].sum() / density.sum()
    return float(near * kernels * (kernels - 1) / 2)


def _cosines(kernels: Kernels) -> NDArray[np.float64]:
    """Return the cosine of each pair of kernels, 0 for those without length."""
    rows = kernels.reshape(len(kernels), -1).astype(np.float64)
    length = norms(kernels)[:, None]
    unit = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return np.asarray(unit @ unit.T)
