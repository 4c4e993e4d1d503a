"""Whether a network's outputs fit the classes better in another order.

The best order assigns each output the class that makes most predictions correct (H. W. Kuhn: The Hungarian Method for
the Assignment Problem, 1955). It is chosen among all orders. So it looks too good on the images that it was chosen on,
even for a network that guesses. It is therefore chosen on one half of the images and tested on the other half, for
several random halves. Twice the median of their p-values is a valid p-value for all of them: N. Meinshausen, L. Meier,
P. Bühlmann: p-Values for High-Dimensional Regression. JASA 104, 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from auditor.statistics.paired import difference, mcnemar

Confusion = Int[NDArray[np.integer], "k k"]
"""Number of images by true class (rows) and predicted class (columns)."""

Order = Int[NDArray[np.integer], " k"]
"""The class of each output."""


@dataclass(frozen=True, eq=False, slots=True)
class Reordered:
    """The best order of classes, and its accuracy on images that it was not found on.

    Attributes:
        order: The best order on all images: the class of each output, `[k]`.
        given, better: Accuracy on the tested images in the given order and in the best one, 0 to 1.
        tested: The number of tested images: about one half.
        interval: The 95 % confidence interval of `better - given`, -1 to 1.
        p: The p-value of the difference, corrected for the choice of halves.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> confusion = np.diag([40, 40, 40])
        >>> methods.reordered(confusion, np.arange(3)).p  # the given order is the best: no evidence against it
        1.0
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

    Images in one cell of the matrix are exchangeable, so half of them are drawn from its count.

    Args:
        confusion: Number of images, `[k, k]`: true classes in rows, predicted classes in columns.
        among: The classes that may change places, `[m]`. Images of other classes are ignored.
        halvings: How often to halve the images: an odd number. The result of the median halving is returned.
        seed: Seed of the halvings.

    Raises:
        IndexError: A class in `among` is not in the matrix.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> confusion = np.array([[0, 40, 0], [40, 0, 0], [0, 0, 40]])  # classes 0 and 1 are swapped
        >>> found = methods.reordered(confusion, np.arange(3))
        >>> found.order
        array([1, 0, 2])
        >>> found.better, found.p < 0.01
        (1.0, True)
    """
    own, kept, among = _occurring(confusion, among)
    random = np.random.default_rng(seed)
    halves = [random.binomial(own, 0.5) for _ in range(halvings)]
    tests = [_tested(own - half, best_order(half, among)) for half in halves]
    middle = sorted(tests, key=lambda test: (mcnemar(test.lost, test.gained), test.lost - test.gained))[halvings // 2]
    n = sum(middle)
    order = np.arange(len(confusion))
    order[kept] = kept[best_order(own, among)]
    return Reordered(
        order,
        (middle.both + middle.lost) / max(1, n),
        (middle.both + middle.gained) / max(1, n),
        n,
        difference(*middle),
        min(1.0, 2 * mcnemar(middle.lost, middle.gained)),
    )


def _occurring(
    confusion: Confusion, among: Int[NDArray[np.integer], " m"]
) -> tuple[Int[NDArray[np.integer], "j j"], Int[NDArray[np.integer], " j"], Int[NDArray[np.integer], " m"]]:
    """Return the images of some classes, by the classes that occur; these classes; and the places of `among`.

    Of 20,000 classes few occur on some hundred images, and a copy of the whole matrix takes 3 GB.
    """
    kept = np.union1d(among, np.flatnonzero(confusion[among].any(0)))
    places = np.searchsorted(kept, among)
    own = np.zeros((len(kept), len(kept)), confusion.dtype)
    own[places] = confusion[np.ix_(among, kept)]
    return own, kept, places


def best_order(confusion: Confusion, among: Int[NDArray[np.integer], " m"]) -> Order:
    """Return the order in which most predictions are correct. Among equally good ones it moves the fewest classes."""
    from scipy.optimize import linear_sum_assignment

    order = np.arange(len(confusion))
    staying = np.eye(len(among)) / (len(among) + 1)
    _, places = linear_sum_assignment(confusion[np.ix_(among, among)].T + staying, maximize=True)
    order[among] = among[places]
    return order


def right(confusion: Confusion, order: Order) -> int:
    """Return how many predictions are correct in this order."""
    return int(confusion[order, np.arange(len(order))].sum())


class _Test(NamedTuple):
    """Numbers of images that are correct in both orders, in the given one only, in the new one only, in neither."""

    both: int
    lost: int
    gained: int
    neither: int


def _tested(confusion: Confusion, order: Order) -> _Test:
    stays = order == np.arange(len(order))
    both, given, better = int(np.diag(confusion)[stays].sum()), int(np.trace(confusion)), right(confusion, order)
    return _Test(both, given - both, better - both, int(confusion.sum()) - given - better + both)
