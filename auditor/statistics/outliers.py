"""Which of some values lie far below the others, told by chance and not by a rule of thumb.

The usual anomaly index (the distance from the median in median deviations, over 2) fires on one of ten ordinary
values in a third of all cases, on one of a thousand nearly always, and of two never. Here the distance is measured
against values that an outlier can't reach, and judged by how far the lowest of as many ordinary ones lies.

Correction for the number of values: P. H. Westfall, S. S. Young: Resampling-Based Multiple Testing. 1993 (the largest
statistic). Index: B. Wang et al.: Neural Cleanse. IEEE S&P 2019; after F. R. Hampel, JASA 69, 1974.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

FEWEST = 8
_LOWER, _UPPER = 5, 10  # of so many values one is left out at the lower and at the upper end
_DRAWS, _LEAST = 2_000_000, 4_000  # normal numbers that are drawn, and samples at least

Values = NDArray[np.float64]


def chances_below(values: Sequence[float] | Values, *, seed: int = 0) -> list[float]:
    """Return how probable it is that the lowest of as many ordinary values lies as far below the others, 0 to 1.

    Ordinary are independent draws of one normal distribution, of whatever mean and deviation: of sizes give the
    logarithms. The probabilities hold for all values together, so that the smallest of them needs no correction. Up to
    a fifth of the values may be outliers without hiding each other.

    Args:
        values: `[k]`, at least eight.
        seed: Of the normal samples that they are compared with.

    Raises:
        ValueError: There are fewer than eight, or one is no finite number.
    """
    given = np.asarray(values, np.float64)
    if given.ndim != 1 or len(given) < FEWEST or not np.isfinite(given).all():
        raise ValueError(f"outliers are told among at least {FEWEST} finite values [k], not {given.shape}: {given}")
    lowest = _lowest(len(given), seed)
    as_deep = len(lowest) - np.searchsorted(lowest, _depths(given[None])[0])
    return [float(chance) for chance in (1 + as_deep) / (1 + len(lowest))]


@cache
def _lowest(count: int, seed: int) -> Values:
    """Return how deep the lowest of so many ordinary values lies in many samples of them, rising."""
    samples = np.random.default_rng(seed).standard_normal((max(_LEAST, _DRAWS // count), count))
    depths = np.sort(_depths(samples)[np.arange(len(samples)), samples.argmin(1)])
    depths.setflags(write=False)
    return depths


def _depths(samples: Values) -> Values:
    """Return how far each value lies below the mean of the middle ones, in standard deviations of these.

    Args:
        samples: `[n, k]`.
    """
    count = samples.shape[1]
    middle = np.sort(samples, axis=1)[:, count // _LOWER : count - count // _UPPER]
    mean, spread = middle.mean(1, keepdims=True), middle.std(1, ddof=1, keepdims=True)
    below = mean - samples
    return np.asarray(np.divide(below, spread, out=np.zeros_like(below), where=spread > 0))  # all alike: none is deep
