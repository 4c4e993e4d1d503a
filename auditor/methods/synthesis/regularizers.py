"""What an image pays for, besides its norm, while it is made."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

Regularizer = Callable[[Tensor], Tensor]  # [n, c, h, w] -> [n]


def squared_norm(images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Return the sum of the squares of each image."""
    return images.square().sum((1, 2, 3))


def total_variation(images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Return the sum of the absolute differences between neighbours below and beside each other.

    L. I. Rudin, S. Osher, E. Fatemi: Nonlinear total variation based noise removal algorithms. Physica D 1992.
    """
    down = (images[:, :, 1:] - images[:, :, :-1]).abs().sum((1, 2, 3))
    across = (images[:, :, :, 1:] - images[:, :, :, :-1]).abs().sum((1, 2, 3))
    return down + across
