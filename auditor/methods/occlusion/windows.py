"""Positions of a window on an image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, SupportsIndex

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

Pair = tuple[int, int]
Size = SupportsIndex | Sequence[SupportsIndex]  # one integer, or rows and columns


@dataclass(frozen=True)
class Windows:
    """A grid of positions: 0, stride, 2 * stride, ...; the last row and column end at the border of the image.

    Attributes:
        image: Height and width in pixels, like the other attributes.
    """

    image: Pair
    window: Pair
    stride: Pair

    @classmethod
    def of(cls, image: Pair, *, window: Size, stride: Size) -> Windows:
        """Return the grid for a window and a stride, each one number or (rows, columns).

        Raises:
            ValueError: The window is larger than the image, or window or stride is not made of positive integers.
        """
        found = cls(image, _pair("window", window), _pair("stride", stride))
        if found.window[0] > image[0] or found.window[1] > image[1]:
            raise ValueError(f"the window is {_times(found.window)} pixels, but the image has only {_times(image)}")
        return found

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """The first pixel row of each row of windows."""
        return self._origins(0)

    @cached_property
    def cols(self) -> tuple[int, ...]:
        """The first pixel column of each column of windows."""
        return self._origins(1)

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    @property
    def grid(self) -> Pair:
        """Number of rows and columns of windows."""
        return len(self.rows), len(self.cols)

    def some(self, count: int) -> Bool[Tensor, "rows cols"]:
        """Return a mask of `count` windows, spread evenly over the grid."""
        chosen = torch.zeros(self.grid, dtype=torch.bool)
        chosen.view(-1)[torch.linspace(0, len(self) - 1, min(count, len(self))).round().long()] = True
        return chosen

    def inside(self, numbers: Int64[Tensor, " b"]) -> Bool[Tensor, "b h w"]:
        """Return the pixels inside the windows with these numbers, counted row by row."""
        down, right = (cover.to(numbers.device) for cover in self._covers())
        return down[numbers // len(self.cols), :, None] & right[numbers % len(self.cols), None, :]

    def spread(self, values: Float[Tensor, "m rows cols"]) -> Float[Tensor, "m h w"]:
        """Return for each pixel the mean value of the windows that cover it; 0 where none does."""
        down, right = (cover.to(values) for cover in self._covers())
        total = torch.einsum("mrc,rh,cw->mhw", values, down, right)
        return total / torch.outer(down.sum(0), right.sum(0)).clamp(min=1)

    def mean(self, maps: Float[Tensor, "m h w"]) -> Float[Tensor, "m rows cols"]:
        """Return the mean over the pixels of each window."""
        down, right = (cover.to(maps) for cover in self._covers())
        return torch.einsum("mhw,rh,cw->mrc", maps, down, right) / (self.window[0] * self.window[1])

    def _covers(self) -> tuple[Bool[Tensor, "rows h"], Bool[Tensor, "cols w"]]:
        return self._cover(0), self._cover(1)

    def _cover(self, axis: int) -> Tensor:
        origins = torch.tensor(self._origins(axis))[:, None]
        pixels = torch.arange(self.image[axis])
        return (pixels >= origins) & (pixels < origins + self.window[axis])

    def _origins(self, axis: int) -> tuple[int, ...]:
        last = self.image[axis] - self.window[axis]
        return (*range(0, last, self.stride[axis]), last)


def _pair(name: str, value: Size) -> Pair:
    numbers = tuple(value) if isinstance(value, Iterable) else (value, value)
    if len(numbers) != 2 or not all(map(_counts, numbers)):
        raise ValueError(f"{name} is {value!r}, but has to be a positive integer, or two: rows and columns")
    return int(numbers[0]), int(numbers[1])


def _counts(value: Any) -> bool:
    return isinstance(value, SupportsIndex) and not isinstance(value, bool) and value.__index__() >= 1


def _times(pair: Pair) -> str:
    return f"{pair[0]} x {pair[1]}"
