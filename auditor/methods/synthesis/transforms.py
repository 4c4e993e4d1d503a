"""Random shifts, rotations, scalings and blur of images before each forward pass.

An image that keeps its score under all of them does not rely on the pattern of a few pixels.

A. Mordvintsev, C. Olah, M. Tyka: Inceptionism. 2015 (shifts). C. Olah, A. Mordvintsev, L. Schubert: Feature
Visualization. Distill 2017 (scale and rotation).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from auditor.process.torchvision import torchvision


@dataclass(frozen=True, slots=True)
class Jitter:
    """Limits of random transforms. All images of a batch get the same transform, so that they are independent.

    Attributes:
        shift: Largest shift in each direction, as a share of height and width.
        scale: Largest change of the size, as a share.
        rotation: Largest rotation to either side, in degrees.
        blur: Standard deviation of a Gaussian at the first step, in pixels. It falls to zero in the first half of the
            steps, so that coarse forms come before fine ones.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> images = torch.rand(2, 3, 8, 8)
        >>> jitter = methods.Jitter(shift=0.25)
        >>> jitter(images, 0.0, torch.Generator()).shape
        torch.Size([2, 3, 8, 8])
        >>> methods.Jitter().still, jitter.still
        (True, False)
    """

    shift: float = 0.0
    scale: float = 0.0
    rotation: float = 0.0
    blur: float = 0.0

    @property
    def still(self) -> bool:
        """Whether nothing is changed."""
        return self == STILL

    def __call__(
        self, images: Float[Tensor, "n c h w"], done: float, random: torch.Generator
    ) -> Float[Tensor, "n c h w"]:
        """Return the transformed images, differentiably. Pixels from outside the image are 0.

        Args:
            done: The share of the steps that is done, 0 to 1.
        """
        transforms = torchvision.transforms.functional
        if sigma := self.blur * max(0.0, 1 - 2 * done):
            reach = 2 * round(2 * sigma) + 1
            for size in ([reach, 1], [1, reach]):  # the same as both directions at once, with less work
                images = transforms.gaussian_blur(images, size, [sigma, sigma])
        down, across, larger, turned = (2 * torch.rand(4, generator=random) - 1).tolist()
        if not (self.shift or self.scale or self.rotation):
            return images
        height, width = images.shape[2:]
        shifted: Tensor = transforms.affine(
            images,
            angle=self.rotation * turned,
            translate=[self.shift * width * across, self.shift * height * down],
            scale=1 + self.scale * larger,
            shear=[0.0, 0.0],
            interpolation=torchvision.transforms.InterpolationMode.BILINEAR,
        )
        return shifted


STILL = Jitter()
