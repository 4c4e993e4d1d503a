"""A rectangle of a map for each image of a batch, assembled from the clean image's map and newly computed parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from auditor.methods.occlusion.incremental.graph import Node
from auditor.methods.occlusion.incremental.rectangles import Whole


class Extent(NamedTuple):
    """Rows (or columns) of a rectangle for each position of the window: the first one, and their number."""

    starts: Whole
    length: int

    def moved(self, by: int) -> Extent:
        return Extent(self.starts + by, self.length)

    def same(self, other: Extent) -> bool:
        return self.length == other.length and bool((self.starts == other.starts).all())


Region = tuple[Extent, Extent]


class Kept(NamedTuple):
    """The maps of a node for the clean image, with a border around them.

    Attributes:
        border: Columns before and after, rows above and below.
        outside: The value of the border.
    """

    node: Node
    border: tuple[int, int, int, int]
    outside: float

    def of(self, maps: Tensor) -> Tensor:
        """Return the maps `[1, c, h, w]` as `[rows, cols, c]`."""
        padded = functional.pad(maps, self.border, value=self.outside) if any(self.border) else maps
        return padded[0].permute(1, 2, 0).contiguous()

    @property
    def size(self) -> int:
        (rows, cols), (left, right, top, bottom) = self.node.grid or (1, 1), self.border
        return self.node.size * (rows + top + bottom) * (cols + left + right) // (rows * cols)


class Run(NamedTuple):
    """Neighbouring positions whose parts have the same place: `[positions, source, destination]`."""

    positions: slice
    source: slice
    destination: slice


@dataclass(frozen=True, eq=False)
class Assembly:
    """How to assemble the rectangles `wanted` of a node, whose rectangles `known` are computed.

    Attributes:
        runs: For rows and for columns, which part of the computed rectangle goes where.
    """

    kept: Kept
    wanted: Region
    runs: tuple[Sequence[Run], Sequence[Run]]
    _moved: list[Tensor] = field(default_factory=list)

    @classmethod
    def of(cls, kept: Kept, wanted: Region, known: Region | None = None) -> Assembly:
        pairs = zip(known, wanted, strict=True) if known else ()
        rows, cols = (tuple(_overlaps(*pair)) for pair in pairs) if known else ((), ())
        return cls(kept, wanted, (rows, cols))

    @property
    def size(self) -> int:
        """Bytes per image."""
        rows, cols = self.kept.node.grid or (1, 1)
        return self.kept.node.size * self.wanted[0].length * self.wanted[1].length // (rows * cols)

    def __call__(self, clean: Mapping[Kept, Tensor], computed: Tensor | None = None) -> Tensor:
        """Return the rectangles, `[positions of rows * positions of columns, c, h, w]`, in channels_last."""
        maps = clean[self.kept]
        crops = _crops(maps, self._starts(maps.device), (self.wanted[0].length, self.wanted[1].length))
        if computed is not None:
            self._paste(computed.permute(0, 2, 3, 1).unflatten(0, crops.shape[:2]), crops)
        return crops.flatten(0, 1).permute(0, 3, 1, 2)

    def _starts(self, device: torch.device) -> Sequence[Tensor]:
        """Return the first rows and columns of the rectangles. On a GPU they are moved once."""
        starts = [torch.from_numpy(extent.starts) for extent in self.wanted]
        if device.type == "cpu":
            return starts
        if not self._moved:
            self._moved.extend(one.to(device) for one in starts)
        return self._moved

    def _paste(self, computed: Tensor, crops: Tensor) -> None:
        for rows in self.runs[0]:
            for cols in self.runs[1]:
                part = computed[rows.positions, cols.positions, rows.source, cols.source]
                crops[rows.positions, cols.positions, rows.destination, cols.destination] = part


def _crops(maps: Tensor, starts: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Return the rectangles of maps `[rows, cols, c]` as `[positions, positions, h, w, c]`.

    A row of a rectangle is contiguous in memory, so rows are gathered instead of places.
    """
    (across, channels), (rows, cols), (height, width) = maps.shape[1:], starts, size
    tops = rows[:, None] + torch.arange(height, device=maps.device)  # positions h
    begins = (tops * across)[:, None, :] + cols[None, :, None]  # positions positions h
    stretches = maps.as_strided((maps.shape[0] * across - width + 1, width * channels), (channels, 1))
    return stretches.index_select(0, begins.flatten()).view(len(rows), len(cols), height, width, channels)


def _overlaps(known: Extent, wanted: Extent) -> Iterator[Run]:
    first = np.maximum(known.starts, wanted.starts)
    counts = np.minimum(known.starts + known.length, wanted.starts + wanted.length) - first
    parts = np.stack([first - known.starts, first - wanted.starts, counts.clip(0)], 1)  # positions 3
    begins = [0, *(np.flatnonzero((parts[1:] != parts[:-1]).any(1)) + 1).tolist(), len(parts)]
    for begin, end in pairwise(begins):
        source, destination, count = parts[begin].tolist()
        if count:
            yield Run(slice(begin, end), slice(source, source + count), slice(destination, destination + count))
