"""Costs of an image during a synthesis."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

Regularizer = Callable[[Tensor], Tensor]  # [n, c, h, w] -> [n]


def squared_norm(images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Return the sum of the squares of each image, `[n]`, at least 0.

    Args:
        images: `[n, c, h, w]`.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> methods.squared_norm(torch.ones(2, 3, 8, 8))
        tensor([192., 192.])
    """
    return images.square().sum((1, 2, 3))


def total_variation(images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Return the sum of the absolute differences between vertical and horizontal neighbours, `[n]`, at least 0.

    L. I. Rudin, S. Osher, E. Fatemi: Nonlinear total variation based noise removal algorithms. Physica D 1992.

    Args:
        images: `[n, c, h, w]`.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> step = torch.zeros(1, 1, 8, 8)
        >>> step[..., 4:] = 1.0
        >>> methods.total_variation(step)  # one edge of 8 pixels
        tensor([8.])
    """
    down = (images[:, :, 1:] - images[:, :, :-1]).abs().sum((1, 2, 3))
    across = (images[:, :, :, 1:] - images[:, :, :, :-1]).abs().sum((1, 2, 3))
    return down + across
