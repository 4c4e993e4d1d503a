"""The pixels that the positions of a tensor see, along one axis of the image.

A tensor that depends on the image has a `Reach` for the image's rows and one for its columns. The arrays of a
reach have as many dimensions as the tensor. Each dimension has the tensor's size, or size 1 if the reach is the same
for all positions in it. An operator that moves the tensor's values can therefore be applied to the arrays, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

NOTHING = 2**30  # the first pixel of an empty field; its last pixel is -1


class Untraceable(Exception):
    """No rule describes this call of an operator."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Regular fields: place `p` sees `size` pixels from `offset + stride * p`, in an image without borders."""

    size: int
    stride: int
    offset: int

    def windowed(self, step: Grid) -> Grid:
        """Return the fields of windows of `step` over these fields; `step` counts places instead of pixels."""
        size = self.size + self.stride * (step.size - 1)
        return Grid(size, self.stride * step.stride, self.offset + self.stride * step.offset)

    def joined(self, other: Grid) -> Grid | None:
        """Return the union of both fields at each place, None if their strides differ."""
        if self.stride != other.stride:
            return None
        offset = min(self.offset, other.offset)
        end = max(self.offset + self.size, other.offset + other.size)
        return Grid(end - offset, self.stride, offset)


@dataclass(frozen=True, slots=True)
class Reach:
    """The pixels of one axis that each position sees.

    Attributes:
        first: The first pixel inside the image; `NOTHING` if there is none.
        last: The last pixel inside the image; -1 if there is none.
        place: The place of each position in the grid. It varies along the dimensions that are an axis of the image.
        grid: The fields in an image without borders, None if they are not regular.
    """

    first: Tensor
    last: Tensor
    place: Tensor
    grid: Grid | None

    @property
    def axes(self) -> frozenset[int]:
        """The dimensions of the tensor along which positions differ in their place in the image."""
        return frozenset(dim for dim, size in enumerate(self.place.shape) if size > 1)

    def stepped(self, dim: int) -> Grid | None:
        """Return the grid with one place for each position of `dim`, None if the positions are not regular."""
        if self.grid is None or self.place.numel() != self.place.shape[dim]:
            return None
        places = self.place.flatten()
        steps = places.diff()
        step = int(steps[0]) if len(steps) else 1
        if step < 1 or bool((steps != step).any()):
            return None
        return self.grid.windowed(Grid(1, step, int(places[0])))

    def covers(self, other: Reach) -> bool:
        """Return whether each position sees everything that any position of the other sees."""
        return bool(self.first.max() <= other.first.min()) and bool(self.last.min() >= other.last.max())

    def union(self, other: Reach) -> Reach:
        """Return the union of both at each position; `other` must not vary along further axes."""
        first, last = torch.minimum(self.first, other.first), torch.maximum(self.last, other.last)
        return Reach(first, last, self.place, self._joined_grid(other))

    def _joined_grid(self, other: Reach) -> Grid | None:
        if self.grid is None or other.grid is None or self.place.shape != other.place.shape:
            return None
        ahead = (other.place - self.place).flatten()
        if bool((ahead != ahead[0]).any()):
            return None
        return self.grid.joined(other.grid.windowed(Grid(1, 1, int(ahead[0]))))

    def moved(self, move: Callable[[Tensor], Tensor]) -> Reach:
        """Return the reach after an operator that moves the tensor's values."""
        first, last, place = (_narrowed(move(values)) for values in (self.first, self.last, self.place))
        return Reach(first, last, place, self.grid)

    def aligned(self, ndim: int) -> Reach:
        """Return the reach of the tensor when it is broadcast to `ndim` dimensions."""
        missing = (1,) * (ndim - self.place.ndim)
        if not missing:
            return self
        return self.moved(lambda values: values.reshape(missing + tuple(values.shape)))

    def pooled(self, dims: Iterable[int]) -> Reach:
        """Return the reach after pooling over `dims`, which keep size 1."""
        dims = tuple(dims)
        first, last = self.first.amin(dims, keepdim=True), self.last.amax(dims, keepdim=True)
        if not self.axes.intersection(dims):
            return replace(self, first=first, last=last)
        place, length, grid = self.place, self.place.numel(), None
        for dim in dims:
            grid = grid or (self.stepped(dim) if place.shape[dim] > 1 else None)
            place = place.narrow(dim, 0, 1)
        return Reach(first, last, torch.zeros_like(place), grid and grid.windowed(Grid(length, length, 0)))

    def windowed(self, dim: int, window: Window, *, here: bool = False) -> Reach:
        """Return the reach of windows along `dim`.

        Args:
            here: `dim` is the axis of the image, even if it has a single position.
        """
        spread = here or dim in self.axes
        first = self._through(self.first, dim, window, NOTHING, spread).amin(dim + 1)
        last = self._through(self.last, dim, window, -1, spread).amax(dim + 1)
        if not spread:
            return replace(self, first=first, last=last)
        if self.axes - {dim}:
            raise Untraceable("windows over an axis that is folded into several dimensions")
        grid = self.stepped(dim)
        places = [1] * self.place.ndim
        places[dim] = len(window.taps)
        place = torch.arange(len(window.taps), dtype=torch.int32).reshape(places)
        return Reach(first, last, place, grid and window.step and grid.windowed(window.step))

    def _through(self, values: Tensor, dim: int, window: Window, nothing: int, spread: bool) -> Tensor:
        if values.shape[dim] == 1 and not spread:
            return values.unsqueeze(dim + 1)
        shape = list(values.shape)
        shape[dim] = window.length
        values = values.expand(shape)
        shape[dim] = 1
        values = torch.cat([values, values.new_full(shape, nothing)], dim)  # a tap of -1 selects it
        picked = values.index_select(dim, window.taps.flatten() % (window.length + 1))
        shape[dim : dim + 1] = window.taps.shape
        return picked.reshape(shape)


def image_axis(length: int, dim: int) -> Reach:
    """Return the reach of an image `[n, c, h, w]` along `dim`, in which each pixel sees itself."""
    shape = [1, 1, 1, 1]
    shape[dim] = length
    pixels = torch.arange(length, dtype=torch.int32).reshape(shape)
    return Reach(pixels, pixels, pixels, Grid(1, 1, 0))


def blind(ndim: int) -> Reach:
    """Return the reach of a tensor that does not depend on the image."""
    nothing = torch.full((1,) * ndim, NOTHING, dtype=torch.int32)
    return Reach(nothing, torch.full_like(nothing, -1), torch.full_like(nothing, -1), None)


def _narrowed(values: Tensor) -> Tensor:
    """Return the values with size 1 in each dimension along which they are constant."""
    for dim, (size, stride) in enumerate(zip(values.shape, values.stride(), strict=True)):
        if size > 1 and (stride == 0 or bool((values == values.narrow(dim, 0, 1)).all())):
            values = values.narrow(dim, 0, 1)
    return values


@dataclass(frozen=True, slots=True)
class Window:
    """The positions of an axis from which each position of the output is computed.

    Attributes:
        length: The number of positions of the input.
        taps: `[positions, taps]`: the input positions; -1 for one in the padding.
        step: Extent, stride and offset of the windows, None if they are not regular.
    """

    length: int
    taps: Tensor
    step: Grid | None

    @staticmethod
    @lru_cache(maxsize=1024)
    def sliding(length: int, count: int, *, kernel: int, stride: int, padding: int, dilation: int = 1) -> Window:
        taps = torch.arange(count)[:, None] * stride - padding + torch.arange(kernel) * dilation
        return Window(length, _inside(taps, length), Grid(dilation * (kernel - 1) + 1, stride, -padding))

    @staticmethod
    @lru_cache(maxsize=1024)
    def transposed(length: int, count: int, *, kernel: int, stride: int, padding: int, dilation: int = 1) -> Window:
        ahead = torch.arange(count)[:, None] + padding - torch.arange(kernel) * dilation
        taps = torch.where(ahead % stride == 0, ahead.div(stride, rounding_mode="floor"), -1)
        extent = dilation * (kernel - 1) + 1
        return Window(length, _inside(taps, length), Grid(extent, 1, padding - extent + 1) if stride == 1 else None)

    @staticmethod
    @lru_cache(maxsize=1024)
    def adaptive(length: int, count: int) -> Window:
        positions = torch.arange(count)
        start, end = positions * length // count, -(-(positions + 1) * length // count)
        taps = start[:, None] + torch.arange(int((end - start).max()))
        extent = length // count
        step = None if length % count else Grid(extent, extent, 0)
        return Window(length, torch.where(taps < end[:, None], taps, -1), step)

    @staticmethod
    def weighted(weights: Tensor) -> Window:
        """Return the windows of a linear map, `[positions, length]`: all inputs with a weight that is not zero."""
        length = weights.shape[1]
        return Window(length, torch.where(weights.abs() > 1e-9, torch.arange(length), -1), None)

    @staticmethod
    def chosen(length: int, taps: Tensor, step: Grid | None) -> Window:
        """Return windows with one tap each."""
        return Window(length, taps[:, None], step)


def _inside(taps: Tensor, length: int) -> Tensor:
    return torch.where((taps >= 0) & (taps < length), taps, -1)
