"""Whether maps respond otherwise at their border than inside.

B. Alsallakh, N. Kokhlikyan, V. Miglani, J. Yuan, O. Reblitz-Richardson: Mind the Pad: CNNs Can Develop Blind Spots.
ICLR 2021: what a layer pads with, and rows that a stride leaves out, show at the border of its maps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

SMALLEST = 5
"""Rows or columns: of a smaller map most places lie on the border."""


@dataclass(frozen=True, slots=True)
class Border:
    """How strongly the outermost ring of maps responds.

    Attributes:
        ratio: Times what the inside does; the geometric mean over the images.
        interval: Its 95 % interval: the images are what chance has drawn.
        images: How many images tell: those that respond at both.
    """

    ratio: float
    interval: tuple[float, float]
    images: int


def border(maps: Float[NDArray[np.floating], "n h w"]) -> Border | None:
    """Compare the outermost ring of each image's map with its inside; None where fewer than two images tell.

    Args:
        maps: Strength of the response, not below zero.

    Raises:
        ValueError: The maps are too small to have an inside.
    """
    from scipy.special import stdtrit

    rows, cols = maps.shape[1:]
    if min(rows, cols) < SMALLEST:
        raise ValueError(f"maps of {rows} x {cols} have no inside to compare with")
    inside = maps[:, 1:-1, 1:-1].astype(np.float64)
    ring = (maps.sum((1, 2), dtype=np.float64) - inside.sum((1, 2))) / (2 * (rows + cols) - 4)
    middle = inside.mean((1, 2))
    told = (ring > 0) & (middle > 0)
    logs = np.log(ring[told] / middle[told])
    n = len(logs)
    if n < 2:
        return None
    reach = float(stdtrit(n - 1, 0.975) * logs.std(ddof=1) / np.sqrt(n))
    mean = float(logs.mean())
    return Border(float(np.exp(mean)), (float(np.exp(mean - reach)), float(np.exp(mean + reach))), n)
