"""The fillings of an occlusion window, in the values that the network takes."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from auditor.data.preprocessing import Preprocess
from auditor.process.torchvision import torchvision

Filling = Literal["grey", "black", "mean", "blur", "noise"]


def filling(
    kind: Filling, images: Float[Tensor, "n c h w"], preprocess: Preprocess, *, blur: float, random: torch.Generator
) -> Float[Tensor, "n c h w"]:
    """Return for each image the image from which occlusion windows are filled.

    Args:
        kind: `grey` is half of full intensity, `black` is zero intensity, `mean` is the image's own mean colour,
            `blur` is the blurred image, and `noise` is the same uniform noise for every image.
        blur: The standard deviation of the blur, in pixels.

    Raises:
        ValueError: There is no such kind.
    """
    match kind:
        case "grey":
            return _levels(torch.full_like(images, 0.5), preprocess)
        case "black":
            return _levels(torch.zeros_like(images), preprocess)
        case "mean":
            return images.mean((2, 3), keepdim=True).expand_as(images)
        case "blur":
            return _blurred(images, blur)
        case "noise":
            drawn = torch.rand(images.shape[1:], generator=random)
            return _levels(drawn.to(images).expand_as(images), preprocess)
    raise ValueError(f"the filling is {kind!r}, but has to be one of: {', '.join(get_args(Filling))}")


def _levels(shares: Float[Tensor, "n c h w"], preprocess: Preprocess) -> Float[Tensor, "n c h w"]:
    """Return the network's input values for these shares of full intensity."""
    mean, std = (torch.tensor(values).to(shares)[:, None, None] for values in (preprocess.mean, preprocess.std))
    given = 1 - shares if preprocess.invert else shares
    return (given * preprocess.scale - mean) / std


def _blurred(images: Float[Tensor, "n c h w"], sigma: float) -> Float[Tensor, "n c h w"]:
    reach = min(round(3 * sigma), min(images.shape[2:]) - 1)
    blurred: Tensor = torchvision.transforms.functional.gaussian_blur(images, [2 * reach + 1] * 2, [sigma] * 2)
    return blurred
