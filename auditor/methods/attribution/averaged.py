"""Gradients averaged over many variants of an image.

M. Sundararajan, A. Taly, Q. Yan: Axiomatic Attribution for Deep Networks. ICML 2017 (`integrated_gradients`).
D. Smilkov, N. Thorat, B. Kim, F. Viégas, M. Wattenberg: SmoothGrad: removing noise by adding noise. 2017
(`smooth_grad`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from auditor.methods.attribution.forward_pass import Model
from auditor.methods.attribution.gradients import sent_back
from auditor.methods.attribution.rectifiers import Rule
from auditor.methods.attribution.targets import Aim, Target, classes_of, locate
from auditor.unit import Unit


def integrated_gradients(
    model: Model,
    images: Float[Tensor, "n c h w"],
    target: Target,
    *,
    baseline: float | Tensor = 0.0,
    steps: int = 50,
    batch_size: int = 8,
) -> Float[Tensor, "m c h w"]:
    """Return the contribution of each value to the difference in score between an image and a baseline.

    The gradient is integrated along the straight line from the baseline to the image by Gauss-Legendre quadrature. The
    contributions of an image sum to the difference in score; more steps make the sum more exact. They are in units of
    the score: positive values raise it, negative values lower it.

    Args:
        target: As in `gradient`.
        baseline: A number, or images that broadcast to `images`, in the images' own units. 0 is the mean colour of
            centred images.
        steps: Number of points on the line.
        batch_size: Images per forward pass.

    Returns:
        `[m, c, h, w]`; `m` as in `gradient`.

    Raises:
        ValueError: `steps` or `batch_size` is less than 1; otherwise as `gradient`.
        IndexError: As `gradient`.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.Tanh(), nn.Linear(16, 10)).eval()
        >>> images = torch.rand(2, 3, 8, 8)
        >>> shares = methods.integrated_gradients(model, images, 5)
        >>> rise = (model(images) - model(0 * images))[:, 5]
        >>> torch.allclose(shares.sum((1, 2, 3)), rise, atol=1e-4)  # the contributions sum to the difference
        True
    """
    _refuse_none(steps=steps, batch_size=batch_size)
    start = torch.as_tensor(baseline, dtype=images.dtype, device=images.device).expand_as(images)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    shares = torch.as_tensor((nodes + 1) / 2, dtype=images.dtype, device=images.device)
    parts = torch.as_tensor(weights / 2, dtype=images.dtype, device=images.device)

    def between(image: Int64[Tensor, " b"], step: Int64[Tensor, " b"]) -> Tensor:
        return start[image] + shares[step, None, None, None] * (images[image] - start[image])

    mean = _mean_gradient(model, images, target, between, parts, batch_size)
    return (mean * (images.detach() - start)[:, None]).flatten(0, 1)


def smooth_grad(
    model: Model,
    images: Float[Tensor, "n c h w"],
    target: Target,
    *,
    samples: int = 50,
    noise: float = 0.15,
    seed: int = 0,
    batch_size: int = 8,
) -> Float[Tensor, "m c h w"]:
    """Return the mean gradient over noisy copies of each image, in units of the score per unit of the input.

    Args:
        target: As in `gradient`. The place of a `Unit` is that of the image without noise.
        samples: Number of noisy copies.
        noise: Standard deviation of the noise, as a share of the image's range of values.
        seed: All images get the same noise, scaled to their range. So no image changes the map of another one.
        batch_size: Images per forward pass.

    Returns:
        `[m, c, h, w]`; `m` as in `gradient`.

    Raises:
        ValueError: `samples` or `batch_size` is less than 1; otherwise as `gradient`.
        IndexError: As `gradient`.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10)).eval()
        >>> images = torch.rand(2, 3, 8, 8)
        >>> smooth = methods.smooth_grad(model, images, 5, samples=4)
        >>> torch.allclose(smooth, methods.gradient(model, images, 5))  # a linear model's gradient is constant
        True
    """
    _refuse_none(samples=samples, batch_size=batch_size)
    random = torch.Generator().manual_seed(seed)
    drawn = torch.randn(samples, *images.shape[1:], generator=random).to(images)
    spread = noise * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
    parts = torch.full((samples,), 1 / samples, dtype=images.dtype, device=images.device)

    def noisy(image: Int64[Tensor, " b"], sample: Int64[Tensor, " b"]) -> Tensor:
        return images[image] + spread[image] * drawn[sample]

    return _mean_gradient(model, images, target, noisy, parts, batch_size).flatten(0, 1)


@torch.inference_mode(False)
def _mean_gradient(
    model: Model,
    images: Float[Tensor, "n c h w"],
    target: Target,
    variant: Callable[[Tensor, Tensor], Tensor],
    parts: Float[Tensor, " s"],
    batch_size: int,
) -> Float[Tensor, "n k c h w"]:
    """Return the weighted sum of the gradients at `s` variants of each image.

    Args:
        variant: Returns the variants of given numbers for images of given numbers.
        parts: The weight of each variant.
    """
    aim = _fixed(model, images, target)
    total = torch.zeros(len(images), aim.count, *images.shape[1:], dtype=images.dtype, device=images.device)
    for chunk in torch.arange(len(images) * len(parts), device=images.device).split(batch_size):
        image, number = chunk // len(parts), chunk % len(parts)
        found = sent_back(model, variant(image, number), aim.at(image), Rule.GRADIENT)  # [b, k, c, h, w]
        total.index_add_(0, image, found * parts[number, None, None, None, None])
    return total


@torch.inference_mode(False)
def _fixed(model: Model, images: Float[Tensor, "n c h w"], target: Target) -> Aim:
    """Return the target with the place of a unit fixed by the images themselves, not by their variants."""
    if isinstance(target, Unit):
        return locate(model, images, target)
    return classes_of(target, images=len(images))


def _refuse_none(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} is {count}, but has to be at least 1")
