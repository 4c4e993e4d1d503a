"""Groups of windows that change rectangles of similar size, so that each group is computed together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from auditor.methods.occlusion.incremental.graph import Node
from auditor.methods.occlusion.incremental.operators import Sliding
from auditor.methods.occlusion.incremental.rectangles import Interval, Whole

_MOST_SIZES = 4  # along each axis: convolution libraries keep only so many shapes compiled
_OVERHEAD = 1e7  # of a layer per group, in multiplications that take the same time


def grouped_positions(intervals: Mapping[Node, Interval], across: int) -> list[Whole]:
    """Return the positions along an axis in groups with one size of rectangle each.

    The positions are ordered by the size of their change and cut into a few groups. Of all cuts, the one with the least
    work is returned.

    Args:
        across: Number of positions along the other axis.
    """
    convolved = [node for node in intervals if node.weights] or list(intervals)
    lengths = np.stack([intervals[node].lengths for node in convolved], 1).clip(1).astype(float)  # positions nodes
    weights = np.array([max(node.weights, 1) for node in convolved], dtype=float)
    order = np.argsort((lengths**2) @ weights, kind="stable")
    overhead = _OVERHEAD * len(convolved) / across
    cuts = _cuts(_costs(lengths[order], weights) + overhead)
    return [_by_phase(np.sort(group), intervals) for group in np.split(order, cuts)]


def _costs(lengths: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cost of each run of positions as one group: `[first, last]`."""
    count = len(lengths)
    costs = np.full((count, count), np.inf)
    for first in range(count):
        largest = np.maximum.accumulate(lengths[first:])
        costs[first, first:] = ((largest**2) @ weights) * np.arange(1, count - first + 1)
    return costs


def _cuts(costs: NDArray[np.float64]) -> list[int]:
    """Return the cuts with the least total cost."""
    count = len(costs)
    best, starts = [costs[0]], [np.zeros(count, dtype=int)]  # least cost of the positions up to each, in 1, 2, ... runs
    for _ in range(min(_MOST_SIZES, count) - 1):
        split = best[-1][:-1, None] + costs[1:]  # [last of the runs before, last]
        starts.append(split.argmin(0) + 1)
        best.append(split.min(0))
    runs = int(np.argmin([one[-1] for one in best])) + 1
    cuts, end = [], count
    for start in reversed(starts[1:runs]):
        end = int(start[end - 1])
        cuts.append(end)
    return sorted(cuts)


def _by_phase(group: Whole, intervals: Mapping[Node, Interval]) -> Whole:
    """Return the positions ordered by the place of their rectangles within those of the layer before."""
    sliding = [(node, max(node.operator.stride)) for node in intervals if isinstance(node.operator, Sliding)]

    def phase(position: int) -> tuple[int, ...]:
        found = []
        for node, stride in reversed(sliding):
            found.append(int(intervals[node.inputs[0]].first[position] - stride * intervals[node].first[position]))
        return (*found, position)

    return np.array(sorted(group.tolist(), key=phase))
