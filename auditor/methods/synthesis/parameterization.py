"""What is ascended: the pixels themselves, or a spectrum of which the pixels are made.

A step along the gradient in the pixels favours high frequencies. In a spectrum whose frequencies are weighted by the
inverse of their height, as those of photographs are, and in colours that do not go together as those of photographs
do, the same step favours what photographs look like. The gradient is the same, only the metric is another one.

C. Olah, A. Mordvintsev, L. Schubert: Feature Visualization. Distill 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Shape = tuple[int, int, int]
Bounds = tuple[Float[Tensor, " c"], Float[Tensor, " c"]]

_CONTRAST = 0.25  # of values with a standard deviation of 1: neither flat nor saturated
_GREY, _BLUE_YELLOW, _GREEN_PURPLE = 1.0, 0.34, 0.12  # deviations of photographs along these axes, of grey's


@dataclass(frozen=True, slots=True)
class Pixels:
    """The pixels themselves, without bounds; its values are the images."""

    shape: Shape

    def zeros(self, count: int) -> Float[Tensor, "n c h w"]:
        return torch.zeros(count, *self.shape)

    def images(self, values: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return values


@dataclass(frozen=True, slots=True)
class Spectrum:
    """A spectrum, weighted as that of photographs, in colours that do not go together.

    Attributes:
        bounds: The lowest and the highest value that a pixel of each channel may have; a sigmoid keeps it between.
    """

    shape: Shape
    bounds: Bounds | None = None

    def zeros(self, count: int) -> Float[Tensor, "n c h f 2"]:
        channels, height, width = self.shape
        return torch.zeros(count, channels, height, width // 2 + 1, 2)

    def images(self, values: Float[Tensor, "n c h f 2"]) -> Float[Tensor, "n c h w"]:
        _, height, width = self.shape
        weighted = torch.view_as_complex(values.contiguous()) * self._weights().to(values)
        planes: Tensor = _CONTRAST * torch.fft.irfft2(weighted, (height, width), norm="ortho")
        if self.shape[0] == 3:
            planes = torch.einsum("dc,nchw->ndhw", _colours().to(planes), planes)
        if self.bounds is None:
            return planes
        low, high = (bound.to(planes)[:, None, None] for bound in self.bounds)
        return torch.lerp(low, high, planes.sigmoid())

    def _weights(self) -> Float[Tensor, "h f"]:
        _, height, width = self.shape
        rows = torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
        columns = torch.fft.rfftfreq(width, dtype=torch.float64)
        frequency = torch.hypot(rows, columns).clamp(min=1 / max(height, width))
        return math.sqrt(height * width) / (frequency * max(height, width))


Parameterization = Pixels | Spectrum


def _colours() -> Float[Tensor, "3 3"]:
    """Return what makes three channels of values that do not go together; as good for BGR as for RGB."""
    grey = torch.tensor([1.0, 1.0, 1.0]) / math.sqrt(3)
    blue_yellow = torch.tensor([1.0, 0.0, -1.0]) / math.sqrt(2)
    green_purple = torch.tensor([1.0, -2.0, 1.0]) / math.sqrt(6)
    return torch.stack([_GREY * grey, _BLUE_YELLOW * blue_yellow, _GREEN_PURPLE * green_purple], 1)
