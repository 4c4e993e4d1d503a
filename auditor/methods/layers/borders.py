"""Whether maps respond differently at their border than inside.

B. Alsallakh, N. Kokhlikyan, V. Miglani, J. Yuan, O. Reblitz-Richardson: Mind the Pad: CNNs Can Develop Blind Spots.
ICLR 2021: the padding of a layer, and rows that a stride skips, show at the border of its maps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

SMALLEST = 5
"""Least number of rows or columns. Most places of a smaller map are on its border."""


@dataclass(frozen=True, slots=True)
class Border:
    """The response of the outermost ring of maps, compared with their inside.

    Attributes:
        ratio: Response of the ring over that of the inside, over 0; the geometric mean over the images.
        interval: Its 95 % confidence interval over images.
        images: Number of images that respond at both.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> methods.border(np.ones((4, 7, 7)))  # maps that are the same everywhere
        Border(ratio=1.0, interval=(1.0, 1.0), images=4)
    """

    ratio: float
    interval: tuple[float, float]
    images: int


def border(maps: Float[NDArray[np.floating], "n h w"]) -> Border | None:
    """Compare the outermost ring of each image's map with its inside.

    Args:
        maps: Strength of the response at each place, `[n, h, w]`, at least 0.

    Returns:
        The ratio of ring to inside; None if fewer than two images respond at both.

    Raises:
        ValueError: The maps have fewer than 5 rows or columns, so that most places are on the border.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> maps = np.ones((4, 7, 7))
        >>> maps[:, 1:-1, 1:-1] = 2.0  # twice as strong inside
        >>> round(methods.border(maps).ratio, 3)
        0.5
    """
    from scipy.special import stdtrit

    rows, cols = maps.shape[1:]
    if min(rows, cols) < SMALLEST:
        raise ValueError(f"maps are {rows} x {cols}, but need at least {SMALLEST} rows and columns")
    inside = maps[:, 1:-1, 1:-1].astype(np.float64)
    ring = (maps.sum((1, 2), dtype=np.float64) - inside.sum((1, 2))) / (2 * (rows + cols) - 4)
    middle = inside.mean((1, 2))
    active = (ring > 0) & (middle > 0)
    logs = np.log(ring[active] / middle[active])
    n = len(logs)
    if n < 2:
        return None
    reach = float(stdtrit(n - 1, 0.975) * logs.std(ddof=1) / np.sqrt(n))
    mean = float(logs.mean())
    return Border(float(np.exp(mean)), (float(np.exp(mean - reach)), float(np.exp(mean + reach))), n)
