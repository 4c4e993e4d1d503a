"""How alike two maps look.

Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli: Image Quality Assessment: From Error Visibility to Structural
Similarity. IEEE Transactions on Image Processing 13, 2004.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_WINDOW, _SIGMA = 11, 1.5
_STABILISERS = 0.01**2, 0.03**2


def structural_similarity(a: Float[Tensor, "n h w"], b: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """Return the mean structural similarity of each pair of maps whose values lie from 0 to 1: -1 to 1, 1 for equals.

    It is taken where the window of 11 pixels, or the largest odd one that fits, lies inside the map.
    """
    side = min(_WINDOW, *(length - (length + 1) % 2 for length in a.shape[1:]))
    first, second = a.double(), b.double()
    moments = torch.stack([first, second, first * first, second * second, first * second], 1)
    m1, m2, square1, square2, product = _smoothed(moments.flatten(0, 1), side).unflatten(0, (len(a), 5)).unbind(1)
    c1, c2 = _STABILISERS
    contrast = (2 * (product - m1 * m2) + c2) / (square1 - m1 * m1 + square2 - m2 * m2 + c2)
    alike: Tensor = (2 * m1 * m2 + c1) / (m1 * m1 + m2 * m2 + c1) * contrast
    return alike.mean((1, 2))


def _smoothed(maps: Float[Tensor, "n h w"], side: int) -> Float[Tensor, "n rows cols"]:
    places = torch.arange(side, dtype=maps.dtype, device=maps.device) - side // 2
    weights = torch.exp(-(places**2) / (2 * _SIGMA**2))
    weights = weights / weights.sum()
    rows = functional.conv2d(maps[:, None], weights[None, None, :, None])
    return functional.conv2d(rows, weights[None, None, None, :])[:, 0]
