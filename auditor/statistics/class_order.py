"""Whether a network's answers fit the classes better in another order.

The best order assigns each answer the class that makes most of them right (H. W. Kuhn: The Hungarian Method for the
Assignment Problem, 1955). It is chosen among all orders, and so looks better than it is on the images that it was
chosen on, also for a network that guesses. So it is chosen on one half of the images and tested on the other, for
several random halves. Twice the median of their probabilities of error holds for all of them together: N. Meinshausen,
L. Meier, P. Bühlmann: p-Values for High-Dimensional Regression. JASA 104, 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from auditor.statistics.paired import difference, mcnemar

Confusion = Int[NDArray[np.integer], "k k"]
"""Images by true class (rows) and answer (columns)."""

Order = Int[NDArray[np.integer], " k"]
"""The class that each answer stands for."""


@dataclass(frozen=True, eq=False, slots=True)
class Reordered:
    """The best order, and how it does on images that it was not found on.

    Attributes:
        order: Found on all images.
        given, better: Shares of the tested images that are right in the given order and in the other one.
        tested: How many these are: one half.
        interval: The 95 % interval of the difference of the two shares.
        p: How probable it is that chance alone sets the two so far apart, corrected for the choice of halves.
    """

    order: Order
    given: float
    better: float
    tested: int
    interval: tuple[float, float]
    p: float


def reordered(
    confusion: Confusion, among: Int[NDArray[np.integer], " m"], *, halvings: int = 15, seed: int = 0
) -> Reordered:
    """Find the best order of some classes, and test it on images that it was not found on.

    Images in one cell of the matrix are alike, so that half of them are drawn from its count.

    Args:
        among: The classes that may change places; images of others don't count.
        halvings: How often the images are halved, an odd number; what is told is the middle one.
    """
    own = np.zeros_like(confusion)
    own[among] = confusion[among]
    random = np.random.default_rng(seed)
    halves = [random.binomial(own, 0.5) for _ in range(halvings)]
    tests = [_tested(own - half, best_order(half, among)) for half in halves]
    middle = sorted(tests, key=lambda test: (mcnemar(test.lost, test.gained), test.lost - test.gained))[halvings // 2]
    n = sum(middle)
    return Reordered(
        best_order(own, among),
        (middle.both + middle.lost) / max(1, n),
        (middle.both + middle.gained) / max(1, n),
        n,
        difference(*middle),
        min(1.0, 2 * mcnemar(middle.lost, middle.gained)),
    )


def best_order(confusion: Confusion, among: Int[NDArray[np.integer], " m"]) -> Order:
    """Return the order in which most images are right; of several, one that leaves most classes in their places."""
    from scipy.optimize import linear_sum_assignment

    order = np.arange(len(confusion))
    staying = np.eye(len(among)) / (len(among) + 1)
    _, places = linear_sum_assignment(confusion[np.ix_(among, among)].T + staying, maximize=True)
    order[among] = among[places]
    return order


def right(confusion: Confusion, order: Order) -> int:
    """Return how many images are right in this order."""
    return int(confusion[order, np.arange(len(order))].sum())


class _Test(NamedTuple):
    """Images that are right in both orders, in the given one, in the other one, in none."""

    both: int
    lost: int
    gained: int
    neither: int


def _tested(confusion: Confusion, order: Order) -> _Test:
    stays = order == np.arange(len(order))
    both, given, better = int(np.diag(confusion)[stays].sum()), int(np.trace(confusion)), right(confusion, order)
    return _Test(both, given - both, better - both, int(confusion.sum()) - given - better + both)
