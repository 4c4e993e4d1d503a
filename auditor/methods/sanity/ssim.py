"""Structural similarity of two maps.

Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli: Image Quality Assessment: From Error Visibility to Structural
Similarity. IEEE Transactions on Image Processing 13, 2004.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

_WINDOW, _SIGMA = 11, 1.5
_STABILISERS = 0.01**2, 0.03**2


class Moments(NamedTuple):
    """Maps, with the local mean and variance in each window that lies inside."""

    maps: Float[Tensor, "n h w"]
    mean: Float[Tensor, "n rows cols"]
    variance: Float[Tensor, "n rows cols"]


def structural_similarity(a: Float[Tensor, "n h w"], b: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """Return the mean structural similarity of each pair of maps, `[n]`: -1 to 1, 1 for equal maps.

    The window has 11 pixels, or the largest odd number that fits. Only windows inside the map count.

    Args:
        a, b: Maps with values from 0 to 1, `[n, h, w]`.

    Raises:
        RuntimeError: The sizes of the maps differ.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> maps = torch.rand(2, 16, 16)
        >>> torch.allclose(methods.structural_similarity(maps, maps), torch.ones(2, dtype=torch.float64))
        True
        >>> bool((methods.structural_similarity(maps, 1 - maps) < 0).all())
        True
    """
    return similarity(moments(a), moments(b))


def moments(maps: Float[Tensor, "n h w"]) -> Moments:
    """Return the moments that structural similarity needs, for maps that are compared with many others."""
    exact = maps.double()
    mean = _smoothed(exact)
    return Moments(exact, mean, _smoothed(exact * exact) - mean * mean)


def similarity(first: Moments, second: Moments) -> Float[Tensor, " n"]:
    """Return the structural similarity of each pair of maps, as `structural_similarity`."""
    c1, c2 = _STABILISERS
    product = first.mean * second.mean
    covariance = _smoothed(first.maps * second.maps) - product
    brightness = (2 * product + c1) / (first.mean**2 + second.mean**2 + c1)
    return (brightness * (2 * covariance + c2) / (first.variance + second.variance + c2)).mean((1, 2))


def _smoothed(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n rows cols"]:
    """Return maps smoothed by a Gaussian window. Shifted maps are summed: torch has no fast convolution in float64."""
    side = min(_WINDOW, *(length - (length + 1) % 2 for length in maps.shape[1:]))
    places = torch.arange(side, dtype=maps.dtype) - side // 2
    weights = torch.exp(-(places**2) / (2 * _SIGMA**2))
    for axis in (1, 2):
        length = maps.shape[axis] - side + 1
        total = torch.zeros_like(maps.narrow(axis, 0, length))
        for shift, weight in enumerate((weights / weights.sum()).tolist()):
            total.add_(maps.narrow(axis, shift, length), alpha=weight)
        maps = total
    return maps
