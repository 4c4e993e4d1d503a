"""Whether one of two networks is more accurate than the other on the same images.

Q. McNemar: Note on the Sampling Error of the Difference between Correlated Proportions or Percentages.
Psychometrika 12, 1947; here exact. Interval: R. G. Newcombe: Improved Confidence Intervals for the Difference
between Binomial Proportions Based on Paired Data. Statistics in Medicine 17, 1998, method 10.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.statistics.proportion import wilson

_BINS = 15

Answers = NDArray[np.float64]


def mcnemar(lost: int, gained: int) -> float:
    """Return the p-value of McNemar's exact two-sided test, 0 to 1.

    Args:
        lost: Number of images that only the first network classifies correctly.
        gained: Number of images that only the second network classifies correctly.

    Raises:
        ValueError: A count is negative.
    """
    if lost < 0 or gained < 0:
        raise ValueError(f"lost is {lost} and gained is {gained}, but counts have to be at least 0")
    n, fewer = lost + gained, min(lost, gained)
    whole = math.lgamma(n + 1) - n * math.log(2)
    tail = math.fsum(math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1)) for k in range(fewer + 1))
    return min(1.0, 2 * tail)


def difference(both: int, lost: int, gained: int, neither: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of the second accuracy minus the first one, -1 to 1.

    Args:
        both: Number of images that both networks classify correctly.
        lost: Number of images that only the first one does.
        gained: Number of images that only the second one does.
        neither: Number of images that neither does.

    Raises:
        ValueError: A count is negative.
    """
    counts = (both, lost, gained, neither)
    if min(counts) < 0:
        raise ValueError(f"the counts are {counts}, but have to be at least 0")
    if not (n := sum(counts)):
        return -1.0, 1.0
    first, second = (both + lost) / n, (both + gained) / n
    (low1, high1), (low2, high2) = wilson(both + lost, n), wilson(both + gained, n)
    related = 2 * _phi(both, lost, gained, neither)
    down, up = second - low2, high1 - first
    below = math.sqrt(max(0.0, down**2 - related * down * up + up**2))
    up, down = high2 - second, first - low1
    above = math.sqrt(max(0.0, up**2 - related * up * down + down**2))
    return max(-1.0, second - first - below), min(1.0, second - first + above)


def _phi(both: int, lost: int, gained: int, neither: int) -> float:
    """Return the correlation of two binary outcomes, with Newcombe's correction of small positive values."""
    margins = (both + lost) * (gained + neither) * (both + gained) * (lost + neither)
    if not margins:
        return 0.0
    related, n = both * neither - lost * gained, both + lost + gained + neither
    if related > 0:
        related = max(0.0, related - n / 2)  # type: ignore[assignment]
    return related / math.sqrt(margins)


def calibration_errors(first: Answers, second: Answers, right1: Answers, right2: Answers) -> tuple[float, float]:
    """Return the expected calibration errors of two networks, 0 to 1.

    Args:
        first, second: Confidence of each network in its prediction for each image, `[n]`, 0 to 1.
        right1, right2: Whether the prediction is correct, 1 or 0, `[n]`.

    Raises:
        ValueError: The numbers of images differ.
    """
    once = np.ones(len(first))
    return _error(_sorted(first, right1), once), _error(_sorted(second, right2), once)


def calibration_difference(
    first: Answers, second: Answers, right1: Answers, right2: Answers, *, draws: int = 500, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % confidence interval of the second calibration error minus the first one, by the basic bootstrap.

    Images are resampled, so each draw holds the same images for both networks. The arguments are those of
    `calibration_errors`.

    Raises:
        ValueError: The numbers of images differ.
    """
    random, n = np.random.default_rng(seed), len(first)
    before, after = _sorted(first, right1), _sorted(second, right2)
    found, drawn = _error(after, np.ones(n)) - _error(before, np.ones(n)), list[float]()
    for _ in range(draws):
        times = np.bincount(random.integers(0, n, n), minlength=n).astype(np.float64)
        drawn.append(_error(after, times) - _error(before, times))
    low, high = 2 * found - np.quantile(drawn, [0.975, 0.025])
    return max(-1.0, float(low)), min(1.0, float(high))


class _Sorted(NamedTuple):
    """Predictions by rising confidence.

    Attributes:
        order: The images, `[n]`.
        begins, ends: Where each distinct confidence begins and ends among them.
        gap: Confidence minus correctness of each prediction, -1 to 1, `[n]`.
    """

    order: NDArray[np.intp]
    begins: NDArray[np.intp]
    ends: NDArray[np.intp]
    gap: Answers


def _sorted(confidence: Answers, right: Answers) -> _Sorted:
    order = np.argsort(np.round(confidence, 6), kind="stable")
    distinct = np.diff(np.round(confidence, 6)[order], prepend=-1.0) > 0
    begins = np.flatnonzero(distinct)
    return _Sorted(order, begins, np.append(begins[1:], len(order)), (confidence - right)[order])


def _error(answers: _Sorted, times: Answers) -> float:
    """Return the error in bins of equal mass, as in `calibration`. Equal confidences stay in one bin.

    Args:
        times: How often each image counts, `[n]`.
    """
    order, begins, ends, gap = answers
    weights = times[order]
    mass, gaps = _summed(weights), _summed(weights * gap)
    middles, edges = (mass[begins] + mass[ends]) / 2, mass[-1] * np.arange(1, _BINS) / _BINS
    cuts = np.append(begins, len(order))[np.searchsorted(middles, edges)]
    return float(np.abs(np.diff(gaps[[0, *cuts, len(order)]])).sum() / mass[-1])


def _summed(values: Answers) -> Answers:
    return np.concatenate([[0.0], np.cumsum(values)])
