"""Whether kernels are still what an initialisation drew.

Paul Gavrikov, Janis Keuper, "CNN Filter DB", CVPR 2022: training makes the kernels of a layer alike, so that
few principal components hold most of their variance; those of an untrained layer share it out evenly. The
measure is the variance entropy, the limit for 3x3 kernels a curve fitted to random ones. One fresh layer in
ten lies under that curve near 200 kernels, and all lie far above it from 1000 on. So the limit here is what
fresh draws of the same shape reach, for kernels of any size.

Entropy alone overlooks layers of 1x1 kernels, whose spectrum training may leave as flat as chance made it, and
layers that training has not moved far. Five more things are the same throughout a fresh layer, whatever it was
drawn from (uniform, normal, truncated or orthogonal): each input counts as much as the next, so does each output,
no weight lies farther out than those of a normal distribution, a weight says nothing of the one beside it, and their
mean is zero. Uniform draws, which PyTorch takes, end at once on both sides: training blurs that long before the other
measures see it.

A layer of few weights tells one thing all the same: whether it is what PyTorch draws by default, since the bounds of
that are known.
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
_EVEN = 2.05  # sizes, nine in ten of which are smaller, over the median: uniform 1.8, truncated 2.3, normal 2.44
_OUTERMOST = 5  # weights that the edge is measured by
_FEWEST_DRAWN = 100  # of which an even spread can be told
_GRAIN = 1e-3  # of half precision
_RARE = 1e-3


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
        edge: How far the outermost weights lie beyond the edge that the others show.
        centre: How far the mean of the weights is from zero, on either side.
    """

    rows: int
    columns: int
    entropy: float
    spectrum: float
    inputs: float
    outputs: float
    tails: float
    neighbours: float
    edge: float
    centre: float

    @property
    def distance(self) -> float:
        """The largest of the seven: a layer that was ever trained is far off in one of them at least."""
        return max(self.spectrum, self.inputs, self.outputs, self.tails, self.neighbours, self.edge, self.centre)

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
        _blur(scaled),
        float(abs(scaled.mean()) * np.sqrt(scaled.size) / scaled.std()),
    )


def drawn_by_default(weights: Float[NDArray[np.floating], "k ..."]) -> bool:
    """Return whether weights, by output, are what PyTorch draws for a new convolution or linear layer.

    These are spread evenly up to one over the root of the number of inputs. A training that has moved them brings
    some over that bound; one that has not leaves none far from it. Of a thousand fresh layers up to five are missed.
    """
    sizes = np.abs(np.asarray(weights, dtype=np.float64)).ravel()
    bound, n = default_bound(weights), sizes.size
    if n < _FEWEST_DRAWN or not np.isfinite(sizes).all() or sizes.max() > bound * (1 + _GRAIN):
        return False
    from scipy.stats import kstest

    reached = (sizes.max() / bound) ** n if sizes.max() < bound else 1.0  # how often the largest is no larger
    return bool(reached > _RARE and kstest(np.minimum(sizes / bound, 1), "uniform").pvalue > _RARE)


def default_bound(weights: Float[NDArray[np.floating], "k ..."]) -> float:
    """Return the size that no weight exceeds which PyTorch draws by default."""
    return float(np.prod(weights.shape[1:]) ** -0.5)


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


def _blur(kernels: Kernels) -> float:
    """Return how far the outermost weights lie beyond the edge that the others show, as a standard normal number."""
    sizes = np.sort(np.abs(kernels), axis=None)
    middle, large = np.quantile(sizes, (0.5, 0.9))
    return max(_gap(sizes) if large <= _EVEN * middle else 0.0, _overhang(sizes))


def _gap(sizes: Float[NDArray[np.float64], " n"]) -> float:
    """Return how large the gap between the largest of some rising sizes and one a few places behind it is.

    Of uniform draws it is beta distributed.
    """
    from scipy.special import betaincc, ndtri

    gap = 1 - sizes[-1 - _OUTERMOST] / sizes[-1]
    chance = betaincc(_OUTERMOST, sizes.size - _OUTERMOST, gap)
    return float(-ndtri(max(chance, np.finfo(np.float64).tiny)))


def _overhang(sizes: Float[NDArray[np.float64], " n"]) -> float:
    """Return how much less the kurtosis is than the largest weight lets a cut-off normal distribution have.

    Cut off near its middle it is a uniform one, far out a whole one. Whatever a layer was drawn from, it lies on that
    line; what training has carried over an edge makes the largest weight larger, long before the kurtosis follows.
    """
    ends, expected, deviations = _cut_off()
    usual = np.sqrt(np.square(sizes).mean())
    end, kurtosis = sizes[-1] / usual, ((sizes / usual) ** 4).mean()
    deviation = np.interp(end, ends, deviations) / np.sqrt(sizes.size)
    return float((np.interp(end, ends, expected) - kurtosis) / deviation)


@cache
def _cut_off() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return of normal distributions, cut off at more and more deviations, the end, the kurtosis, and its deviation.

    The end is in units of the root mean square, the deviation that of one number's share in the kurtosis.
    """
    cuts = np.geomspace(0.05, 9, 200)
    places = cuts[:, None] * np.linspace(0, 1, 2001)
    density = np.exp(-np.square(places) / 2)
    density /= density.sum(1, keepdims=True)
    second, fourth, sixth, eighth = ((density * places**power).sum(1) for power in (2, 4, 6, 8))
    kurtosis = fourth / second**2
    spread = (eighth - fourth**2) / second**4
    slope = 4 * kurtosis**2 * (kurtosis - 1) - 4 * kurtosis * (sixth / second**3 - kurtosis)
    return cuts / np.sqrt(second), kurtosis, np.sqrt(spread + slope)
