"""Whether the inputs of a batch norm agree with its running statistics.

S. Ioffe, C. Szegedy: Batch Normalization. ICML 2015: the running mean and variance describe a channel's inputs in
training. Another preprocessing changes the mean and the variance of the inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from auditor.statistics.proportion import holm

Channels = Float[NDArray[np.floating], " c"]
Rows = Float[NDArray[np.floating], "n c"]


@dataclass(frozen=True, eq=False, slots=True)
class Departure:
    """The difference of each channel's inputs from the running statistics, `[c]` each.

    Attributes:
        shift: Mean minus running mean, in running standard deviations.
        stretch: Standard deviation over the running one, over 0.
        p: The p-value of the difference, 0 to 1, corrected for the number of channels.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> inputs = np.random.default_rng(0).normal(3.0, 1.0, (20, 100, 2))  # 20 images, 100 places, 2 channels
        >>> means, squares = inputs.mean(1), np.square(inputs).mean(1)
        >>> found = methods.departure(means, squares, np.array([0.0, 3.0]), np.ones(2), epsilon=1e-5)
        >>> found.apart().tolist()  # only the first channel differs from its running mean
        [True, False]
    """

    shift: Channels
    stretch: Channels
    p: Channels

    @property
    def distance(self) -> float:
        """The median over the channels of shift and log of stretch together, at least 0."""
        return float(np.median(np.hypot(self.shift, np.log(self.stretch))))

    def apart(self, *, shift: float = 1.0, stretch: float = 1.6, error: float = 0.01) -> Bool[NDArray[np.bool_], " c"]:
        """Return the channels `[c]` that differ by more than a limit and more than by chance.

        Args:
            shift: Limit of the absolute shift.
            stretch: Limit of the stretch, and of its inverse.
            error: Limit of the p-value.
        """
        far = (np.abs(self.shift) > shift) | (np.abs(np.log(self.stretch)) > np.log(stretch))
        return np.asarray(far & (self.p < error))


def departure(means: Rows, squares: Rows, mean: Channels, variance: Channels, *, epsilon: float) -> Departure:
    """Compare the inputs of a batch norm with its running statistics. The images, not their pixels, are the sample.

    Args:
        means, squares: Mean and mean square of each channel's inputs for each image, `[n, c]`.
        mean, variance: The running statistics, `[c]`.
        epsilon: The batch norm's `eps`. It reduces the weight of channels that hardly vary.

    Raises:
        ValueError: There are fewer than two images.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> inputs = np.random.default_rng(0).normal(3.0, 1.0, (20, 100, 1))  # 20 images, 100 places, 1 channel
        >>> means, squares = inputs.mean(1), np.square(inputs).mean(1)
        >>> found = methods.departure(means, squares, np.zeros(1), np.ones(1), epsilon=1e-5)
        >>> [round(float(value), 1) for value in (found.shift[0], found.stretch[0])]
        [3.0, 1.0]
    """
    from scipy.special import stdtr

    n = len(means)
    if n < 2:
        raise ValueError(f"{n} images are too few: at least two are needed to estimate how much they vary")
    centre, usual = means.mean(0), np.sqrt(variance + epsilon)
    around = squares - 2 * centre * means + centre**2 + epsilon  # of each image, around the mean of all
    spread = around.mean(0).clip(epsilon)
    shift, stretch = (centre - mean) / usual, np.sqrt(spread) / usual
    errors = np.stack([means.std(0, ddof=1) / usual, _ratio(around.std(0, ddof=1), 2 * spread)]) / np.sqrt(n)
    t = _ratio(np.abs(np.stack([shift, np.log(stretch)])), errors)
    chances = holm((2 * stdtr(n - 1, -t)).ravel().tolist())
    return Departure(shift, stretch, np.array(chances).reshape(2, -1).min(0))


def _ratio(over: NDArray[np.float64], under: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide. Zero over zero is zero."""
    return np.divide(over, under, out=np.where(over > 0, np.inf, 0.0), where=under > 0)
