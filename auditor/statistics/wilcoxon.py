"""A rank test for one value against the others of its group, and an interval for a median.

F. Wilcoxon: Individual Comparisons by Ranking Methods. Biometrics Bulletin 1, 1945; summed over groups as by Ph. van
Elteren: On the Combination of Independent Two-Sample Tests of Wilcoxon. Bulletin of the International Statistical
Institute 37, 1960; here exact and one-sided. The test only assumes that the values of a group have the same
distribution. Differences from the mean of a group would not be symmetric about zero if the values are skewed. The
interval of a median: W. R. Thompson, On Confidence Ranges for the Median. Annals of Mathematical Statistics 7, 1936.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray


def above_others(own: Float[NDArray[np.floating], " n"], others: Float[NDArray[np.floating], "r n"]) -> float:
    """Return the one-sided p-value that the first value of each group is no larger than the others: 0 to 1.

    Equal values count as half above and half below, and the p-value stays exact. A group of equal values has no effect.

    Args:
        own: One value of each of `n` groups, `[n]`.
        others: The `r` other values of each group, `[r, n]`.

    Raises:
        ValueError: The numbers of groups differ.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> own = np.array([3.0, 4.0, 5.0])
        >>> others = np.array([[1.0, 2.0, 3.0]])
        >>> methods.above_others(own, others)  # larger in all of three pairs: one in 2 ** 3
        0.125
    """
    groups = np.concatenate([own[None], others])
    wins = (groups[:, None] > groups).sum(1) * 2 + (groups[:, None] == groups).sum(1) - 1  # [1 + r, n], doubled
    chances = np.ones(1)  # by the sum of the wins
    for possible in wins.T:
        chances = np.convolve(chances, np.bincount(possible) / len(possible))
    return min(1.0, float(chances[int(wins[0].sum()) :].sum()))


def fewest(error: float) -> int:
    """Return the smallest number of groups of two values for which `above_others` can reach `error`.

    Args:
        error: A p-value, over 0 and at most 1.

    Examples:
        >>> from auditor import methods
        >>> methods.fewest(0.05)  # 0.5 ** 5 is 0.031
        5
    """
    return next(n for n in itertools.count(1) if 0.5**n <= error)


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return a distribution-free confidence interval of the median with at least 95 % coverage.

    Args:
        values: `[n]`.

    Returns:
        Both ends, in units of the values; None for fewer than 6 values.

    Examples:
        >>> from auditor import methods
        >>> methods.median_interval([5.0, 1.0, 4.0, 2.0, 6.0, 3.0])  # of six values the smallest and the largest
        (1.0, 6.0)
        >>> methods.median_interval([1.0, 2.0, 3.0]) is None
        True
    """
    ordered, n = sorted(values), len(values)
    tail, inside = 0.5**n, 0
    while tail <= 0.025:
        inside += 1
        tail += math.comb(n, inside) * 0.5**n
    return (ordered[inside - 1], ordered[n - inside]) if inside else None
