"""Sums that do not depend on the order of their terms.

The last bits of a sum of floats depend on the order. Here a sum is kept as two floats, the sum and its rounding error,
with about 32 correct digits. The 16 digits that are read are then the same in any order.

D. E. Knuth: The Art of Computer Programming, volume 2, section 4.2.2. T. J. Dekker: A floating-point technique for
extending the available precision. Numerische Mathematik 18, 1971.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Sums = NDArray[np.float64]
"""`[2, ...]`: the sums and their rounding errors."""


def exact(values: NDArray[np.float64]) -> Sums:
    """Return values as sums with one term each."""
    return np.stack([values, np.zeros_like(values)])


def added(one: Sums, other: Sums) -> Sums:
    """Return the sum of two sums."""
    total, lost = _two_sum(one[0], other[0])
    return np.stack(_two_sum(total, lost + (one[1] + other[1])))


def _two_sum(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    total = one + other
    part = total - one
    return total, (one - (total - part)) + (other - part)
