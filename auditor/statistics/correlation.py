"""Rank correlation: how similarly two maps order their places.

C. Spearman: The Proof and Measurement of Association between Two Things. 1904.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray


def rank_correlation(a: Float[NDArray[np.floating], "*shape"], b: Float[NDArray[np.floating], "*shape"]) -> float:
    """Return Spearman's correlation, -1 to 1. It is NaN if one of the two is constant.

    Equal values share the mean of their ranks.

    Args:
        a, b: Arrays of the same shape.

    Raises:
        ValueError: The numbers of values differ.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> values = np.array([0.1, 0.5, 0.2, 0.9])
        >>> round(methods.rank_correlation(values, np.exp(values)), 6)  # only the order matters
        1.0
        >>> round(methods.rank_correlation(values, -values), 6)
        -1.0
    """
    return correlation(ranks(a.ravel()), ranks(b.ravel()))


def correlation(a: Float[NDArray[np.float64], " n"], b: Float[NDArray[np.float64], " n"]) -> float:
    """Return Pearson's correlation of two arrays `[n]`, -1 to 1. It is NaN if one of the two is constant.

    Raises:
        ValueError: The numbers of values differ.
    """
    first, second = a - a.mean(), b - b.mean()
    length = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / length if length else math.nan


def ranks(values: Float[NDArray[np.floating], " n"]) -> Float[NDArray[np.float64], " n"]:
    """Return the rank of each value, from 1. Equal values share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place], dtype=np.float64)
