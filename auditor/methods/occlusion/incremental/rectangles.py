"""The rectangle of each map that a window of the image can change. Rows and columns are computed separately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.methods.occlusion.incremental.graph import Graph, Node
from auditor.methods.occlusion.incremental.operators import Affine, Concatenation, Padding, Placewise, Sliding

Whole = NDArray[np.int64]


class Interval(NamedTuple):
    """The first row (or column) that changes and the one after the last, for each position of the window."""

    first: Whole
    end: Whole

    @property
    def lengths(self) -> Whole:
        return self.end - self.first


def changed(graph: Graph, axis: int, window: Interval) -> Mapping[Node, Interval]:
    """Return the interval that the window changes along an axis (0 rows, 1 columns) of each node that has a rule."""
    found = {graph.images: window}
    for node in graph.nodes[1:]:
        if node.grid and all(taken in found for taken in node.inputs):
            interval = _after(node, axis, [found[taken] for taken in node.inputs])
            if interval is not None:
                found[node] = interval
    return found


def _after(node: Node, axis: int, inputs: Sequence[Interval]) -> Interval | None:
    computes = node.operator
    if isinstance(computes, Sliding):
        return _seen_by(computes, axis, inputs[0], node.grid[axis] if node.grid else 0)
    if isinstance(computes, Padding):
        return Interval(inputs[0].first + computes.before(axis), inputs[0].end + computes.before(axis))
    if isinstance(computes, Placewise | Affine | Concatenation):
        return _union(inputs)
    return None


def _seen_by(sliding: Sliding, axis: int, interval: Interval, places: int) -> Interval:
    """Return the places whose window overlaps the interval."""
    stride, padding = sliding.stride[axis], sliding.padding[axis]
    first = -((sliding.span(axis) - 1 - padding - interval.first) // stride)  # rounded up
    end = (interval.end - 1 + padding) // stride + 1
    first = first.clip(0, places)
    return Interval(first, np.maximum(end.clip(0, places), first))


def _union(intervals: Sequence[Interval]) -> Interval:
    """Return the smallest interval that contains all."""
    first = np.minimum.reduce([interval.first for interval in intervals])
    return Interval(first, np.maximum.reduce([interval.end for interval in intervals]))
