"""Kernels that learnt nothing, and kernels that learnt the same.

The cosine of two random directions shrinks with the number of dimensions, so that a high one means
little for short kernels: how many pairs chance alone would give is part of the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Kernels = NDArray[np.floating]


def dead(kernels: Kernels, *, share: float = 0.01) -> NDArray[np.int64]:
    """Return the kernels whose largest weight is under a share of the layer's largest.

    Args:
        kernels: `[k, ...]`.
    """
    largest = np.abs(kernels.reshape(len(kernels), -1)).max(1)
    return np.flatnonzero(largest <= share * largest.max())


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
    rows = kernels.reshape(len(kernels), -1).astype(np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    angles = np.triu(unit @ unit.T, 1)
    first, second = np.nonzero(np.abs(angles) >= cosine)
    pairs = [Pair(int(i), int(j), float(np.clip(angles[i, j], -1, 1))) for i, j in zip(first, second, strict=True)]
    return sorted(pairs, key=lambda p: (-abs(p.cosine), p.first, p.second))


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
