"""Whether paired differences lie above zero, and where their median is.

F. Wilcoxon: Individual Comparisons by Ranking Methods. Biometrics Bulletin 1, 1945; here exact, from one side. The
interval of a median: W. R. Thompson, On Confidence Ranges for the Median. Annals of Mathematical Statistics 7, 1936.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from auditor.methods.correlation import ranks


def signed_rank(differences: Sequence[float]) -> float:
    """Return how probable it is that chance alone puts the differences so far above zero, or farther: 0 to 1.

    Differences of zero are left out; equal sizes share the mean of their ranks, and the probability stays exact.
    """
    found = np.asarray(differences, dtype=np.float64)
    found = found[found != 0]
    sizes = np.rint(2 * ranks(np.abs(found))).astype(int)  # doubled, so that a shared rank is a whole number
    chances = np.zeros(int(sizes.sum()) + 1)  # by the sum of the ranks that are above zero
    chances[0] = 1.0
    for size in sizes:
        chances[size:] += chances[:-size].copy()
        chances /= 2
    return min(1.0, float(chances[int(sizes[found > 0].sum()) :].sum()))


def fewest(error: float) -> int:
    """Return how many differences there have to be so that `signed_rank` can be as small as `error`."""
    return next(n for n in itertools.count(1) if 0.5**n <= error)


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return an interval that holds the median with 95 % or more, whatever the distribution; None under 6 values."""
    ordered, n = sorted(values), len(values)
    tail, inside = 0.5**n, 0
    while tail <= 0.025:
        inside += 1
        tail += math.comb(n, inside) * 0.5**n
    return (ordered[inside - 1], ordered[n - inside]) if inside else None
