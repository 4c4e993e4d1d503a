"""Images moved, turned, scaled and blurred a little before the network sees them.

What is left of an image that has to keep its score under all of it is not the pattern of a few pixels.

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
    """How far images are changed at each step; all of a batch in the same way, so that none depends on another.

    Attributes:
        shift: Up to so much of the height and of the width, in each direction.
        scale: Smaller or larger by up to this share.
        rotation: Up to so many degrees to either side.
        blur: Standard deviation in pixels of a Gaussian at the first step; it falls to zero in the first half of
            the steps, so that coarse forms come before fine ones.
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
        """Return the images changed, differentiably; what comes in from outside is zero.

        Args:
            done: The share of the steps that is done.
        """
        transforms = torchvision.transforms.functional
        if sigma := self.blur * max(0.0, 1 - 2 * done):
            reach = 2 * round(2 * sigma) + 1
            for size in ([reach, 1], [1, reach]):  # one direction after the other, which is the same and less work
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
