"""How sure a share is that was counted.

E. B. Wilson: Probable Inference, the Law of Succession, and Statistical Inference. JASA 22, 1927.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_Z = 1.959963984540054  # two-sided 95 % of the normal distribution


def majority(hits: int, n: int) -> float:
    """Return how probable at least `hits` of `n` are where each is as likely as not: the sign test, 0 to 1.

    Raises:
        ValueError: `hits` is negative or more than `n`.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits of {n} are no count")
    return float(sum(math.comb(n, k) for k in range(hits, n + 1)) / 2**n)


def holm(chances: Sequence[float]) -> list[float]:
    """Return probabilities of error that hold for all of several tests together, in their order.

    S. Holm: A Simple Sequentially Rejective Multiple Test Procedure. 1979.
    """
    order = sorted(range(len(chances)), key=lambda i: chances[i])
    adjusted, reached = [0.0] * len(chances), 0.0
    for rank, i in enumerate(order):
        reached = max(reached, min(1.0, (len(chances) - rank) * chances[i]))
        adjusted[i] = reached
    return adjusted


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share counted as `hits` of `n`, both ends from 0 to 1.

    Raises:
        ValueError: `hits` is negative or more than `n`.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits of {n} are no count")
    if n == 0:
        return 0.0, 1.0
    share, spread = hits / n, _Z**2 / n
    middle = (share + spread / 2) / (1 + spread)
    reach = _Z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    low = 0.0 if hits == 0 else max(0.0, middle - reach)
    high = 1.0 if hits == n else min(1.0, middle + reach)
    return low, high


def never(n: int) -> float:
    """Return the share that something seen on none of `n` stays under, with 95 % confidence: about `3 / n`.

    C. Clopper, E. Pearson: The Use of Confidence or Fiducial Limits. Biometrika 26, 1934; here one-sided.

    Raises:
        ValueError: `n` is negative.
    """
    if n < 0:
        raise ValueError(f"{n} is no count")
    return 1.0 if n == 0 else 1 - 0.05 ** (1 / n)
