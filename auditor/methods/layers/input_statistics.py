"""Whether what flows into a batch norm is what flowed into it in training.

S. Ioffe, C. Szegedy: Batch Normalization. ICML 2015: the running mean and variance tell what a channel's inputs were
like in training. Images that are prepared otherwise give inputs with another mean and variance.
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
    """How far the inputs of each channel are from those of training.

    Attributes:
        shift: Mean less running mean, in running standard deviations.
        stretch: Standard deviation over the running one.
        p: How probable it is that images drawn from those of training would be as far off, corrected for the number
            of channels.
    """

    shift: Channels
    stretch: Channels
    p: Channels

    @property
    def distance(self) -> float:
        """How far the channel in the middle is off: shift and logarithm of stretch together."""
        return float(np.median(np.hypot(self.shift, np.log(self.stretch))))

    def apart(self, *, shift: float = 1.0, stretch: float = 1.6, error: float = 0.01) -> Bool[NDArray[np.bool_], " c"]:
        """Return the channels that are far off, and farther than chance would bring them."""
        far = (np.abs(self.shift) > shift) | (np.abs(np.log(self.stretch)) > np.log(stretch))
        return np.asarray(far & (self.p < error))


def departure(means: Rows, squares: Rows, mean: Channels, variance: Channels, *, epsilon: float) -> Departure:
    """Compare inputs with the running statistics. The images, not their pixels, are what chance has drawn.

    Args:
        means, squares: Mean and mean square of each channel's inputs, image by image.
        mean, variance: The running statistics.
        epsilon: What the batch norm adds to the variance, so that channels that hardly vary count little.

    Raises:
        ValueError: There are fewer than two images.
    """
    from scipy.special import stdtr

    n = len(means)
    if n < 2:
        raise ValueError(f"{n} images tell nothing about chance")
    centre, usual = means.mean(0), np.sqrt(variance + epsilon)
    around = squares - 2 * centre * means + centre**2 + epsilon  # of each image, about the mean of all
    spread = around.mean(0).clip(epsilon)
    shift, stretch = (centre - mean) / usual, np.sqrt(spread) / usual
    errors = np.stack([means.std(0, ddof=1) / usual, _ratio(around.std(0, ddof=1), 2 * spread)]) / np.sqrt(n)
    t = _ratio(np.abs(np.stack([shift, np.log(stretch)])), errors)
    chances = holm((2 * stdtr(n - 1, -t)).ravel().tolist())
    return Departure(shift, stretch, np.array(chances).reshape(2, -1).min(0))


def _ratio(over: NDArray[np.float64], under: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; nothing over nothing is nothing."""
    return np.divide(over, under, out=np.where(over > 0, np.inf, 0.0), where=under > 0)
