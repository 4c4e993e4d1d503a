"""Tests and intervals for counted shares.

E. B. Wilson: Probable Inference, the Law of Succession, and Statistical Inference. JASA 22, 1927.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_Z = 1.959963984540054  # two-sided 95 % of the normal distribution


def majority(hits: int, n: int) -> float:
    """Return the p-value of the one-sided sign test, 0 to 1: the probability of at least `hits` of `n` at even odds.

    Raises:
        ValueError: `hits` is negative or greater than `n`.

    Examples:
        >>> from auditor import methods
        >>> methods.majority(5, 5)  # one in 2 ** 5
        0.03125
    """
    if not 0 <= hits <= n:
        raise ValueError(f"hits is {hits}, but has to be from 0 to n, which is {n}")
    return float(sum(math.comb(n, k) for k in range(hits, n + 1)) / 2**n)


def holm(chances: Sequence[float]) -> list[float]:
    """Return the p-values of several tests, adjusted for their number by the method of Holm, in their order.

    S. Holm: A Simple Sequentially Rejective Multiple Test Procedure. 1979.

    Args:
        chances: The p-values, 0 to 1.

    Examples:
        >>> from auditor import methods
        >>> methods.holm([0.25, 0.125])  # the smallest counts twice
        [0.25, 0.25]
    """
    order = sorted(range(len(chances)), key=lambda i: chances[i])
    adjusted, reached = [0.0] * len(chances), 0.0
    for rank, i in enumerate(order):
        reached = max(reached, min(1.0, (len(chances) - rank) * chances[i]))
        adjusted[i] = reached
    return adjusted


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of the share `hits / n`, 0 to 1.

    Raises:
        ValueError: `hits` is negative or greater than `n`.

    Examples:
        >>> from auditor import methods
        >>> low, high = methods.wilson(33, 44)
        >>> f"{33 / 44:.0%}, from {low:.0%} to {high:.0%}"
        '75%, from 61% to 85%'
    """
    if not 0 <= hits <= n:
        raise ValueError(f"hits is {hits}, but has to be from 0 to n, which is {n}")
    if n == 0:
        return 0.0, 1.0
    share, spread = hits / n, _Z**2 / n
    middle = (share + spread / 2) / (1 + spread)
    reach = _Z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    low = 0.0 if hits == 0 else max(0.0, middle - reach)
    high = 1.0 if hits == n else min(1.0, middle + reach)
    return low, high


def never(n: int) -> float:
    """Return the 95 % upper bound of the rate of an event that was seen in none of `n` cases: about `3 / n`.

    C. Clopper, E. Pearson: The Use of Confidence or Fiducial Limits. Biometrika 26, 1934; here one-sided.

    Raises:
        ValueError: `n` is negative.

    Examples:
        >>> from auditor import methods
        >>> f"{methods.never(48):.1%}"  # a channel that is dead on all of 48 images
        '6.1%'
    """
    if n < 0:
        raise ValueError(f"n is {n}, but has to be at least 0")
    return 1.0 if n == 0 else 1 - 0.05 ** (1 / n)
