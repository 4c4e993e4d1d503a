"""Parameterizations of an image: its pixels, or a spectrum.

Gradient steps on pixels favour high frequencies. The spectrum is weighted by the inverse of the frequency, like that of
photographs, and its colours are decorrelated. Then the same step favours images like photographs. The objective is the
same; only the metric differs.

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
_GREY, _BLUE_YELLOW, _GREEN_PURPLE = 1.0, 0.34, 0.12  # standard deviations of photographs along these axes


@dataclass(frozen=True, slots=True)
class Pixels:
    """The pixels themselves, without bounds."""

    shape: Shape

    def zeros(self, count: int) -> Float[Tensor, "n c h w"]:
        return torch.zeros(count, *self.shape)

    def images(self, values: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return values


@dataclass(frozen=True, slots=True)
class Spectrum:
    """A spectrum weighted like that of photographs, in decorrelated colours.

    Attributes:
        bounds: The lowest and the highest value of a pixel, by channel; a sigmoid keeps pixels between them.
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
    """Return the matrix from decorrelated to colour channels, for RGB and BGR."""
    grey = torch.tensor([1.0, 1.0, 1.0]) / math.sqrt(3)
    blue_yellow = torch.tensor([1.0, 0.0, -1.0]) / math.sqrt(2)
    green_purple = torch.tensor([1.0, -2.0, 1.0]) / math.sqrt(6)
    return torch.stack([_GREY * grey, _BLUE_YELLOW * blue_yellow, _GREEN_PURPLE * green_purple], 1)
