"""Whether kernels are still what an initialisation drew.

Paul Gavrikov, Janis Keuper, "CNN Filter DB", CVPR 2022: training makes the kernels of a layer alike, so that
few principal components hold most of their variance; those of an untrained layer share it out evenly. The
measure is the variance entropy, the limit for 3x3 kernels a curve fitted to random ones. One fresh layer in
ten lies under that curve near 200 kernels, and all lie far above it from 1000 on. So the limit here is what
fresh draws of the same shape reach, for kernels of any size.

Entropy alone overlooks layers of 1x1 kernels, whose spectrum training may leave as flat as chance made it, and
layers that training has not moved far. Four more things are the same throughout a fresh layer, whatever it was
drawn from (uniform, normal, truncated or orthogonal): each input counts as much as the next, so does each output,
no weight lies farther out than those of a normal distribution, and a weight says nothing of the one beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from auditor.language import _

Kernels = Float[NDArray[np.floating], "k c h w"]
Rows = Float[NDArray[np.floating], "n d"]

FEWEST = 500
"""Weights under which a layer tells too little.

What shows is a change that its kernels share. In a layer of 500 weights one of half their length was seen as often as
not; at twice as many weights one of 40 %, and at 64 x 64 kernels of 3 x 3 pixels always one of 20 %.
"""

_DRAWS = 100
_WIDEST = 128  # columns, of which an eigenvalue decomposition of every draw is quick
_UNIFORM, _NORMAL = 1.8, 3.0  # kurtosis: that of a truncated normal distribution lies between


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far a layer is from fresh draws: each measure in standard deviations, positive away from them.

    Attributes:
        rows, columns: Of the matrix whose entropy was taken.
        entropy: The variance entropy of the kernels, in decimal digits.
        spectrum: How far the entropy is under that of fresh draws.
        inputs: How far the mean squares of the inputs' weights differ among each other; 0 with a single one.
        outputs: The same of the outputs.
        tails: How far the kurtosis of the weights is above that of a normal distribution.
        neighbours: How alike weights beside each other in a kernel are; 0 in kernels of one pixel.
    """

    rows: int
    columns: int
    entropy: float
    spectrum: float
    inputs: float
    outputs: float
    tails: float
    neighbours: float

    @property
    def distance(self) -> float:
        """The largest of the five: a layer that was ever trained is far off in one of them at least."""
        return max(self.spectrum, self.inputs, self.outputs, self.tails, self.neighbours)

    def lowest_draw(self, deviations: float) -> float:
        """Return the entropy that lies some standard deviations under that of fresh draws."""
        mean, deviation = _draws(self.rows, self.columns)
        return max(0.0, _highest(self.rows, self.columns) - (mean + deviations * deviation) ** 3)


def obstacle(kernels: Kernels) -> str:
    """Return why a layer tells nothing about whether it was trained; empty if it does."""
    if kernels.size < FEWEST:
        return _("{n} weights are too few", n=kernels.size)
    if not np.isfinite(kernels).all():
        return _("not finite")
    rows = _rows(kernels)
    if min(len(rows) - 1, rows.shape[1]) < 3:
        return _("too few kernels")
    return "" if np.ptp(rows, axis=0).any() else _("all kernels are the same")


def freshness(kernels: Kernels) -> Freshness:
    """Compare the kernels of a layer with fresh draws of the same shape.

    Raises:
        ValueError: The layer tells nothing about it, see `obstacle`.
    """
    if reason := obstacle(kernels):
        raise ValueError(f"kernels {kernels.shape} can't be compared with fresh draws: {reason}")
    rows = _rows(kernels)
    entropy = variance_entropy(rows)
    mean, deviation = _draws(*rows.shape)
    lacking = np.cbrt(max(0.0, _highest(*rows.shape) - entropy))
    scaled = np.asarray(kernels, dtype=np.float64) / np.abs(kernels).max()
    kurtosis = _kurtosis(scaled)
    return Freshness(
        len(rows),
        rows.shape[1],
        entropy,
        float((lacking - mean) / deviation),
        _unevenness(scaled, 1, kurtosis),
        _unevenness(scaled, 0, kurtosis),
        _heaviness(kurtosis, scaled.size),
        _likeness(scaled),
    )


def variance_entropy(rows: Rows) -> float:
    """Return `-sum p log10 p` over the shares of variance of the principal components: 0 to `log10(d)`."""
    centred = np.asarray(rows, dtype=np.float64) - np.mean(rows, axis=0, dtype=np.float64)
    n, d = centred.shape
    return float(_entropy(np.linalg.eigvalsh(centred.T @ centred if d <= n else centred @ centred.T)))


def published_limit(kernels: int) -> float:
    """Return the variance entropy over which Gavrikov and Keuper call a layer of so many 3x3 kernels random."""
    return float(1.2618 / (1 + np.exp(-0.8877 * (np.log2(kernels) - 2.3044))) - 0.3105)


def _rows(kernels: Kernels) -> Rows:
    """Return one row a kernel, as in the paper; of kernels of one pixel, of which it has none, the longer side's.

    Of very many columns some are taken, evenly spaced.
    """
    k, c, h, w = kernels.shape
    rows = kernels.reshape(k * c, h * w) if h * w > 1 else kernels.reshape(k, c)
    rows = rows.T if h * w == 1 and c > k else rows
    taken = np.linspace(0, rows.shape[1] - 1, min(rows.shape[1], _WIDEST)).round().astype(int)
    return rows[:, taken]


def _entropy(variances: Float[NDArray[np.floating], "*draws d"]) -> Float[NDArray[np.float64], "*draws"]:
    shares = np.maximum(variances, 0) / np.maximum(variances, 0).sum(-1, keepdims=True)
    return np.asarray(-(shares * np.log10(shares, out=np.zeros_like(shares), where=shares > 0)).sum(-1))


def _highest(rows: int, columns: int) -> float:
    return float(np.log10(min(rows - 1, columns)))


@cache
def _draws(rows: int, columns: int) -> tuple[float, float]:
    """Return mean and deviation of the cube root of what fresh draws lack of the highest entropy.

    The deficit is nearly a sum of squares, whose cube root is nearly normal (Wilson, Hilferty 1931). Normal draws
    are taken, of which uniform ones differ little. Their singular values are those of a bidiagonal matrix of
    independent numbers (Dumitriu, Edelman 2002), so that a draw takes no longer for many rows than for few.
    """
    random = np.random.default_rng([rows, columns])
    few, many = sorted((rows - 1, columns))  # centring takes one row's freedom
    factor = np.zeros((_DRAWS, few, few))
    place = np.arange(few)
    factor[:, place, place] = np.sqrt(random.chisquare(many - place, (_DRAWS, few)))
    factor[:, place[1:], place[:-1]] = np.sqrt(random.chisquare(place[:0:-1], (_DRAWS, few - 1)))
    entropies = _entropy(np.linalg.eigvalsh(factor @ factor.transpose(0, 2, 1)))
    lacking = np.cbrt(np.log10(few) - entropies)
    return float(lacking.mean()), float(lacking.std(ddof=1))


def _unevenness(kernels: Kernels, axis: int, kurtosis: float) -> float:
    """Return how far the mean squares along an axis differ, against chance, as a standard normal number.

    The sum of their squared deviations is chi-squared distributed (Wilson, Hilferty 1931 make it normal).
    """
    squares = np.moveaxis(kernels, axis, 0).reshape(kernels.shape[axis], -1) ** 2
    free = len(squares) - 1
    if not free:
        return 0.0
    means = squares.mean(1)
    spread = np.clip(kurtosis, _UNIFORM, _NORMAL) - 1  # variance of a squared weight, in units of its mean squared
    chi = ((means / means.mean() - 1) ** 2).sum() * squares.shape[1] / spread
    tail = 2 / (9 * free)
    return float((np.cbrt(chi / free) - (1 - tail)) / np.sqrt(tail))


def _kurtosis(values: Float[NDArray[np.float64], "..."]) -> float:
    centred = values - values.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2)


def _heaviness(kurtosis: float, n: int) -> float:
    """Return how far the kurtosis of `n` numbers is above a normal distribution's (Anscombe, Glynn 1983)."""
    mean = 3 * (n - 1) / (n + 1)
    variance = 24 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    skew = 6 * (n * n - 5 * n + 2) / ((n + 7) * (n + 9)) * np.sqrt(6 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    freedom = 6 + 8 / skew * (2 / skew + np.sqrt(1 + 4 / skew**2))
    below = 1 + (kurtosis - mean) / np.sqrt(variance) * np.sqrt(2 / (freedom - 4))
    tail = 2 / (9 * freedom)
    return float((1 - tail - np.cbrt((1 - 2 / freedom) / below)) / np.sqrt(tail))


def _likeness(kernels: Kernels) -> float:
    """Return how alike weights beside each other in a kernel are, against chance, as a standard normal number.

    Of weights that don't depend on each other the sum of the products of all such pairs has this deviation.
    """
    centred = kernels - kernels.mean()
    pairs = [(centred[:, :, 1:] * centred[:, :, :-1]), (centred[..., 1:] * centred[..., :-1])]
    count = sum(products.size for products in pairs)
    return (
        float(sum(products.sum() for products in pairs) / (np.square(centred).mean() * np.sqrt(count)))
        if count
        else 0.0
    )
