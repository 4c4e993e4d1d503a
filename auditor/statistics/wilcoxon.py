"""Whether one value of each group lies above the others of its group, and where a median is.

F. Wilcoxon: Individual Comparisons by Ranking Methods. Biometrics Bulletin 1, 1945; summed over groups as by Ph. van
Elteren: On the Combination of Independent Two-Sample Tests of Wilcoxon. Bulletin of the International Statistical
Institute 37, 1960; here exact, from one side. All that it takes is that the values of a group are drawn alike, where
differences from the mean of several would not lie evenly about zero if the values are skewed. The interval of a median:
W. R. Thompson, On Confidence Ranges for the Median. Annals of Mathematical Statistics 7, 1936.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray


def above_others(own: Float[NDArray[np.floating], " n"], others: Float[NDArray[np.floating], "r n"]) -> float:
    """Return how probable it is that chance puts one value of each of `n` groups so high among `r` others: 0 to 1.

    Equal values count as half above, half below, and the probability stays exact; a group of equals says nothing.
    """
    groups = np.concatenate([own[None], others])
    wins = (groups[:, None] > groups).sum(1) * 2 + (groups[:, None] == groups).sum(1) - 1  # [1 + r, n], doubled
    chances = np.ones(1)  # by the sum of the wins
    for possible in wins.T:
        chances = np.convolve(chances, np.bincount(possible) / len(possible))
    return min(1.0, float(chances[int(wins[0].sum()) :].sum()))


def fewest(error: float) -> int:
    """Return how many groups of two values there have to be so that `above_others` can be as small as `error`."""
    return next(n for n in itertools.count(1) if 0.5**n <= error)


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return an interval that holds the median with 95 % or more, whatever the distribution; None under 6 values."""
    ordered, n = sorted(values), len(values)
    tail, inside = 0.5**n, 0
    while tail <= 0.025:
        inside += 1
        tail += math.comb(n, inside) * 0.5**n
    return (ordered[inside - 1], ordered[n - inside]) if inside else None
