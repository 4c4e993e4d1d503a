"""Whether kernels are indistinguishable from random initialisation.

Paul Gavrikov, Janis Keuper, "CNN Filter DB", CVPR 2022: training makes the kernels of a layer similar, so a few
principal components hold most of their variance. In an untrained layer the variance is spread evenly. Their measure is
the variance entropy; their limit for 3x3 kernels is a curve fitted to random kernels. Near 200 kernels one untrained
layer in ten lies below that curve, and from 1000 kernels on all lie far above it. So the limit here is the entropy of
random kernels of the same shape, for any size of kernel.

Entropy alone misses two kinds of trained layers: layers of 1x1 kernels, whose spectrum can stay as flat as that of
random kernels, and layers that training has hardly changed. Five more properties hold in a layer at random
initialisation, whatever the distribution (uniform, normal, truncated or orthogonal). All inputs have the same mean
square, and so have all outputs. The tails are no heavier than those of a normal distribution. Neighbouring weights are
uncorrelated. The mean is zero. Uniform weights, PyTorch's default, end abruptly at both sides; training blurs these
edges long before the other measures change.

For a layer of few weights there is one test: whether it has the distribution that PyTorch draws by default, whose
bounds are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from auditor.language import _
from auditor.statistics.uniformity import uniform_probability

Kernels = Float[NDArray[np.floating], "k c h w"]
Rows = Float[NDArray[np.floating], "n d"]

FEWEST = 500
"""Least number of weights for a comparison.

The measures see a change that the kernels share. In a layer of 500 weights, a change of half the kernels' length was
seen in every second case; in a layer of 1000 weights a change of 40 %. In a layer of 64 x 64 kernels of 3 x 3 pixels a
change of 20 % was always seen.
"""

_DRAWS = 100
_WIDEST = 128  # columns; an eigenvalue decomposition of each draw stays fast
_UNIFORM, _NORMAL = 1.8, 3.0  # kurtosis; a truncated normal distribution's lies between
_EVEN = 2.05  # 90 % quantile of the sizes over their median: uniform 1.8, truncated 2.3, normal 2.44
_OUTERMOST = 5  # weights that define the edge
_FEWEST_DRAWN = 100  # weights that a test for uniformity needs
_GRAIN = 1e-3  # rounding of half precision
_RARE = 1e-3


@dataclass(frozen=True, slots=True)
class Freshness:
    """The distance of a layer from random initialisation, in standard deviations; positive values point away from it.

    Attributes:
        rows, columns: Size of the matrix whose entropy was taken.
        entropy: The variance entropy of the kernels, in decimal digits.
        spectrum: How far the entropy is below that of random kernels.
        inputs: How far the mean squares of the inputs' weights differ from each other; 0 for a single input.
        outputs: The same for the outputs.
        tails: How far the kurtosis of the weights is above that of a normal distribution.
        neighbours: Correlation of neighbouring weights in a kernel; 0 for kernels of one pixel.
        edge: How far the largest weights lie beyond the edge of the others.
        centre: How far the mean of the weights is from zero, in either direction.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> kernels = np.random.default_rng(0).uniform(-1, 1, (32, 16, 3, 3))
        >>> found = methods.freshness(kernels)
        >>> found.lowest_draw(3.0) < found.entropy  # within three standard deviations of random kernels
        True
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
        """The largest of the seven distances. A trained layer is far from random initialisation in at least one."""
        return max(self.spectrum, self.inputs, self.outputs, self.tails, self.neighbours, self.edge, self.centre)

    def lowest_draw(self, deviations: float) -> float:
        """Return the entropy that lies `deviations` standard deviations below that of random kernels."""
        mean, deviation = _draws(self.rows, self.columns)
        return max(0.0, _highest(self.rows, self.columns) - (mean + deviations * deviation) ** 3)


def obstacle(kernels: Kernels) -> str:
    """Return the reason why a layer can't be compared with random initialisation; empty if it can."""
    if kernels.size < FEWEST:
        return _("{n} weights are too few (under {few})", n=kernels.size, few=FEWEST)
    if not np.isfinite(kernels).all():
        return _("some weights are not finite")
    rows = _rows(kernels)
    if min(len(rows) - 1, rows.shape[1]) < 3:
        return _("too few kernels")
    return "" if np.ptp(rows, axis=0).any() else _("all kernels are the same")


def freshness(kernels: Kernels) -> Freshness:
    """Compare the kernels of a layer with random initialisation of the same shape.

    Args:
        kernels: `[k, c, h, w]`.

    Raises:
        ValueError: There are fewer than 500 weights or too few kernels, they are not finite, or all are equal.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> kernels = np.random.default_rng(0).uniform(-1, 1, (32, 16, 3, 3))
        >>> methods.freshness(kernels).distance < 4  # random
        True
        >>> smooth = kernels + np.roll(kernels, 1, axis=3)  # neighbouring weights are correlated
        >>> methods.freshness(smooth).distance > 10
        True
    """
    if reason := obstacle(kernels):
        raise ValueError(f"kernels {kernels.shape} can't be compared with random initialisation: {reason}")
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
    """Return whether weights follow the distribution that PyTorch draws for a new convolution or linear layer.

    That distribution is uniform; its bound is one over the square root of the number of inputs. Training moves some
    weights beyond the bound. Without training the largest weight is close to it. Up to five in a thousand untrained
    layers are missed.

    Args:
        weights: `[k, ...]`, outputs first.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> layer = nn.Linear(64, 10)
        >>> methods.drawn_by_default(layer.weight.detach().numpy())
        True
        >>> methods.drawn_by_default(1.5 * layer.weight.detach().numpy())
        False
    """
    sizes = np.abs(np.asarray(weights, dtype=np.float64)).ravel()
    bound, n = default_bound(weights), sizes.size
    if n < _FEWEST_DRAWN or not np.isfinite(sizes).all() or sizes.max() > bound * (1 + _GRAIN):
        return False
    reached = (sizes.max() / bound) ** n if sizes.max() < bound else 1.0  # p-value of the largest
    return bool(reached > _RARE and uniform_probability(np.minimum(sizes / bound, 1)) > _RARE)


def default_bound(weights: Float[NDArray[np.floating], "k ..."]) -> float:
    """Return the largest absolute weight that PyTorch draws by default: one over the root of the number of inputs.

    Args:
        weights: `[k, ...]`, outputs first.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> methods.default_bound(np.zeros((32, 16, 2, 2)))  # 64 inputs
        0.125
    """
    return float(np.prod(weights.shape[1:]) ** -0.5)


def variance_entropy(rows: Rows) -> float:
    """Return `-sum p log10 p` over the shares of variance of the principal components: 0 to `log10(d)`.

    Args:
        rows: One kernel per row, `[n, d]`.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> even = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # the same variance in both directions
        >>> round(methods.variance_entropy(even), 3), round(float(np.log10(2)), 3)
        (0.301, 0.301)
        >>> abs(round(methods.variance_entropy(even[:2]), 3))  # one direction only
        0.0
    """
    centred = np.asarray(rows, dtype=np.float64) - np.mean(rows, axis=0, dtype=np.float64)
    n, d = centred.shape
    return float(_entropy(np.linalg.eigvalsh(centred.T @ centred if d <= n else centred @ centred.T)))


def published_limit(kernels: int) -> float:
    """Return the variance entropy above which Gavrikov and Keuper call a layer of `kernels` 3x3 kernels random.

    The unit is decimal digits.

    Examples:
        >>> from auditor import methods
        >>> round(methods.published_limit(1024), 2)
        0.95
    """
    return float(1.2618 / (1 + np.exp(-0.8877 * (np.log2(kernels) - 2.3044))) - 0.3105)


def _rows(kernels: Kernels) -> Rows:
    """Return one row for each kernel, as in the paper. Kernels of one pixel become rows along the longer axis.

    Of more than 128 columns, 128 evenly spaced ones are returned.
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
    """Return mean and deviation of the cube root of the entropy deficit of random kernels.

    The deficit is nearly a sum of squares, so its cube root is nearly normal (Wilson, Hilferty 1931). Normal draws are
    used; uniform ones differ little. Their singular values are those of a bidiagonal matrix of independent numbers
    (Dumitriu, Edelman 2002). So the time does not depend on the number of rows.
    """
    random = np.random.default_rng([rows, columns])
    few, many = sorted((rows - 1, columns))  # centring takes one degree of freedom
    factor = np.zeros((_DRAWS, few, few))
    place = np.arange(few)
    factor[:, place, place] = np.sqrt(random.chisquare(many - place, (_DRAWS, few)))
    factor[:, place[1:], place[:-1]] = np.sqrt(random.chisquare(place[:0:-1], (_DRAWS, few - 1)))
    entropies = _entropy(np.linalg.eigvalsh(factor @ factor.transpose(0, 2, 1)))
    lacking = np.cbrt(np.log10(few) - entropies)
    return float(lacking.mean()), float(lacking.std(ddof=1))


def _unevenness(kernels: Kernels, axis: int, kurtosis: float) -> float:
    """Return how far the mean squares along an axis differ from each other, as a standard normal number.

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
    """Return the correlation of neighbouring weights in a kernel, as a standard normal number.

    For independent weights, the sum of the products of all neighbouring pairs has this deviation.
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
    """Return how far the largest weights lie beyond the edge of the others, as a standard normal number."""
    sizes = np.sort(np.abs(kernels), axis=None)
    middle, large = np.quantile(sizes, (0.5, 0.9))
    return max(_gap(sizes) if large <= _EVEN * middle else 0.0, _overhang(sizes))


def _gap(sizes: Float[NDArray[np.float64], " n"]) -> float:
    """Return the relative gap between the largest size and one a few places behind, as a standard normal number.

    For uniform draws the gap is beta distributed.

    Args:
        sizes: Absolute weights, rising.
    """
    from scipy.special import betaincc, ndtri

    gap = 1 - sizes[-1 - _OUTERMOST] / sizes[-1]
    chance = betaincc(_OUTERMOST, sizes.size - _OUTERMOST, gap)
    return float(-ndtri(max(chance, np.finfo(np.float64).tiny)))


def _overhang(sizes: Float[NDArray[np.float64], " n"]) -> float:
    """Return how far the kurtosis is below that of a truncated normal distribution with the same largest weight.

    Truncated near its middle, a normal distribution is uniform; truncated far out, it is normal. Whatever a layer was
    drawn from, it lies on that line. Training moves weights over the edge, which makes the largest weight larger long
    before the kurtosis changes.
    """
    ends, expected, deviations = _cut_off()
    usual = np.sqrt(np.square(sizes).mean())
    end, kurtosis = sizes[-1] / usual, ((sizes / usual) ** 4).mean()
    deviation = np.interp(end, ends, deviations) / np.sqrt(sizes.size)
    return float((np.interp(end, ends, expected) - kurtosis) / deviation)


@cache
def _cut_off() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the end, the kurtosis, and the kurtosis' deviation of normal distributions, truncated ever farther out.

    The end is in units of the root mean square. The deviation is that of a single number.
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
