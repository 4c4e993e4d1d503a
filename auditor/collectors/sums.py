"""Sums that do not depend on the order of what is added.

A sum of floats does, in its last bits. Here each is kept as two, the sum and what it lost by rounding, so that it is
right to about 32 digits. What is read of it, 16 digits, is then the same whatever was added first.

D. E. Knuth: The Art of Computer Programming, volume 2, section 4.2.2. T. J. Dekker: A floating-point technique for
extending the available precision. Numerische Mathematik 18, 1971.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Sums = NDArray[np.float64]
"""`[2, ...]`: the sums, and what is missing from them."""


def exact(values: NDArray[np.float64]) -> Sums:
    """Return values as sums of one term each."""
    return np.stack([values, np.zeros_like(values)])


def added(one: Sums, other: Sums) -> Sums:
    """Return the sums of two parts together."""
    total, lost = _two_sum(one[0], other[0])
    return np.stack(_two_sum(total, lost + (one[1] + other[1])))


def _two_sum(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    total = one + other
    part = total - one
    return total, (one - (total - part)) + (other - part)
