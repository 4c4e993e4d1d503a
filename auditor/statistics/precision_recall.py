"""Precision and recall of one label, from the scores of the images with it and without it, counted in bins.

Images in one bin count as if in random order. Average precision is the mean precision over the images with the label,
each at its own score, without interpolation: M. Zhu: Recall, precision and average precision. University of Waterloo,
2004. Interval: percentile bootstrap over the images (Efron 1979).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

Bins = Int[NDArray[np.integer], "2 bins"]
"""Numbers of images without the label (first row) and with it, by rising score."""


class Threshold(NamedTuple):
    """The number of the lowest bin that is told, and the F1 score of that, 0 to 1."""

    bin: int
    f1: float


def average_precision(bins: Int[NDArray[np.integer], "*draws 2 bins"]) -> Float[NDArray[np.float64], "*draws"]:
    """Return the average precision, 0 to 1; NaN without an image that has the label.

    The precision of a bin is the one in its middle. With bins of 1/64 in log-odds the error is below 0.001.

    Examples:
        >>> import numpy as np
        >>> from auditor.statistics.precision_recall import average_precision
        >>> float(average_precision(np.array([[3, 1, 0], [0, 1, 4]])))  # one image of each kind is scored alike
        0.981...
    """
    with_it = np.flip(bins[..., 1, :], -1)
    without = np.flip(bins[..., 0, :], -1)
    hits = np.cumsum(with_it, -1) - (with_it - 1) / 2
    precision = hits / np.maximum(hits + np.cumsum(without, -1) - without / 2, 0.5)
    with np.errstate(invalid="ignore"):
        return np.asarray((with_it * precision).sum(-1) / with_it.sum(-1))


def interval(bins: Bins, *, draws: int = 400, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the average precision, by the bootstrap over the images.

    Raises:
        ValueError: There is no image with the label.
    """
    if not bins[1].any():
        raise ValueError("no image has the label")
    used = bins[:, bins.any(0)]
    random, total = np.random.default_rng(seed), int(used.sum())
    drawn = random.multinomial(total, used.ravel() / total, size=draws).reshape(draws, *used.shape)
    found = average_precision(drawn[drawn[:, 1].any(1)])
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def f1(hits: int, told: int, present: int) -> float:
    """Return the harmonic mean of precision and recall, 0 to 1; 0 if nothing is told or present."""
    return 2 * hits / max(1, told + present)


def best_threshold(bins: Bins) -> Threshold:
    """Return the lowest bin to tell for the highest F1 score; among equal ones the highest."""
    with_it = np.flip(np.cumsum(np.flip(bins[1])))
    told = np.flip(np.cumsum(np.flip(bins.sum(0))))
    scores = 2 * with_it / np.maximum(1, told + bins[1].sum())
    place = len(scores) - 1 - int(np.argmax(scores[::-1]))
    return Threshold(place, float(scores[place]))


def held_out_f1(halves: Int[NDArray[np.integer], "halves 2 bins"]) -> float:
    """Return the F1 score of each half of the images with the threshold that is best on the other, both together."""
    hits = told = 0
    for own, other in zip(halves, halves[::-1], strict=True):
        above = own[:, best_threshold(other).bin :]
        hits, told = hits + int(above[1].sum()), told + int(above.sum())
    return f1(hits, told, int(halves[:, 1].sum()))
