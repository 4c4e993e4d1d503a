"""Which of some values are outliers below the others, by a test instead of a rule of thumb.

The usual anomaly index is the distance from the median in median absolute deviations; values over 2 are outliers. With
ten normal values one of them exceeds it in a third of all cases, with a thousand nearly always, with two never. Here
the distance is measured against the values in the middle, which outliers can't shift. It is compared with the distance
of the lowest of as many normal values.

Correction for the number of values: P. H. Westfall, S. S. Young: Resampling-Based Multiple Testing. 1993 (the largest
statistic). Index: B. Wang et al.: Neural Cleanse. IEEE S&P 2019; after F. R. Hampel, JASA 69, 1974.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

FEWEST = 8
_LOWER, _UPPER = 5, 10  # one value in 5 is left out at the lower end, one in 10 at the upper end
_DRAWS, _LEAST = 2_000_000, 4_000  # normal numbers to draw, and the least number of samples

Values = NDArray[np.float64]


def chances_below(values: Sequence[float] | Values, *, seed: int = 0) -> list[float]:
    """Return for each value the p-value of lying as far below the others, 0 to 1.

    The null hypothesis: all values are independent draws from one normal distribution of any mean and deviation. For
    sizes, pass their logarithms. The p-values hold for all values together, so the smallest needs no further
    correction. Up to a fifth of the values may be outliers without hiding each other.

    Args:
        values: `[k]`, at least 8.
        seed: Seed of the normal samples that the values are compared with.

    Raises:
        ValueError: There are fewer than 8 values, or one is not finite.

    Examples:
        >>> from auditor import methods
        >>> chances = methods.chances_below([5.1, 4.9, 5.0, 5.2, 4.8, 5.0, 5.1, 4.9, 1.0])
        >>> [round(p, 2) for p in chances[-2:]]  # the last value is an outlier, the one before is not
        [1.0, 0.0]
    """
    given = np.asarray(values, np.float64)
    if given.ndim != 1 or len(given) < FEWEST or not np.isfinite(given).all():
        raise ValueError(
            f"values are {given} of shape {given.shape}, but have to be at least {FEWEST} finite values [k]"
        )
    lowest = _lowest(len(given), seed)
    as_deep = len(lowest) - np.searchsorted(lowest, _depths(given[None])[0])
    return [float(chance) for chance in (1 + as_deep) / (1 + len(lowest))]


@cache
def _lowest(count: int, seed: int) -> Values:
    """Return the depths of the lowest of `count` normal values in many samples, in rising order."""
    samples = np.random.default_rng(seed).standard_normal((max(_LEAST, _DRAWS // count), count))
    depths = np.sort(_depths(samples)[np.arange(len(samples)), samples.argmin(1)])
    depths.setflags(write=False)
    return depths


def _depths(samples: Values) -> Values:
    """Return how far each value lies below the mean of the middle values, in standard deviations of these.

    Args:
        samples: `[n, k]`.
    """
    count = samples.shape[1]
    middle = np.sort(samples, axis=1)[:, count // _LOWER : count - count // _UPPER]
    mean, spread = middle.mean(1, keepdims=True), middle.std(1, ddof=1, keepdims=True)
    below = mean - samples
    return np.asarray(np.divide(below, spread, out=np.zeros_like(below), where=spread > 0))  # 0 if all are equal
