"""The steps for windows whose rectangles have the same sizes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from auditor.methods.occlusion.incremental.graph import Cell, Node
from auditor.methods.occlusion.incremental.operators import Padding, Pair, Sliding
from auditor.methods.occlusion.incremental.rectangle_assembly import Assembly, Extent, Kept, Region
from auditor.methods.occlusion.incremental.rectangles import Interval, Whole
from auditor.methods.occlusion.incremental.steps import Step, settled

Intervals = tuple[Mapping[Node, Interval], Mapping[Node, Interval]]


@dataclass(frozen=True, eq=False)
class Shapes:
    """Sizes of rectangles that are large enough for some windows.

    Attributes:
        sizes: Rows and columns for each node that has a rectangle.
        partial: The nodes of which only the rectangle is computed.
    """

    sizes: Mapping[Node, Pair]
    partial: Collection[Node]

    @classmethod
    def of(cls, nodes: Sequence[Node], intervals: Intervals, rows: Whole, cols: Whole, *, most: float) -> Shapes:
        """Return the shapes for the windows at these rows and columns of the grid.

        Args:
            most: The largest share of a map for which a rectangle is used.
        """
        sizes, partial = {}, {nodes[0]}
        for node in nodes:
            if node not in intervals[0] or not node.grid:
                continue
            height, width = (int(on[node].lengths[at].max()) for on, at in zip(intervals, (rows, cols), strict=True))
            sizes[node] = max(height, 1), max(width, 1)
            share = sizes[node][0] * sizes[node][1] / (node.grid[0] * node.grid[1])
            if node.inputs and share <= most and partial.issuperset(node.inputs):
                partial.add(node)
        return cls(sizes, partial)


def rectangle_steps(
    nodes: Sequence[Node], intervals: Intervals, shapes: Shapes, rows: Whole, cols: Whole
) -> list[Step]:
    """Return the steps for all windows at these rows and columns, from the images to the whole of the last node."""
    writer = _Writer(intervals, shapes, (rows, cols))
    writer.regions[nodes[0]] = writer.region(nodes[0])
    for node in nodes[1:]:
        writer.add(node)
    writer.complete(nodes[-1])
    return settled(writer.steps, keep={Cell(nodes[-1])})


@dataclass(eq=False)
class _Writer:
    intervals: Intervals
    shapes: Shapes
    positions: tuple[Whole, Whole]
    regions: dict[Node, Region] = field(default_factory=dict)
    completed: set[Node] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)

    def add(self, node: Node) -> None:
        if node not in self.shapes.partial:
            for taken in node.inputs:
                self.complete(taken)
            self._step(Cell(node), [Cell(taken) for taken in node.inputs], [None] * len(node.inputs), node.operator)
            self.completed.add(node)
        elif isinstance(node.operator, Sliding):
            self._slide(node, node.operator)
        elif isinstance(node.operator, Padding):
            self._shift(node, node.operator)
        else:
            self._merge(node)

    def complete(self, node: Node) -> None:
        """Compute the whole output of a node of which there is only the rectangle."""
        if node in self.completed or not node.grid:
            return
        self.completed.add(node)
        zeros = [np.zeros_like(extent.starts) for extent in self.regions[node]]
        full = Extent(zeros[0], node.grid[0]), Extent(zeros[1], node.grid[1])
        self._step(Cell(node), [Cell(node, False)], [self._assembly(node, full)], _first)

    def region(self, node: Node) -> Region:
        """Return the rectangles of the chosen size, moved inside the maps."""
        found = []
        for axis in (0, 1):
            length, first = self.shapes.sizes[node][axis], self.intervals[axis][node].first[self.positions[axis]]
            found.append(Extent(np.minimum(first, (node.grid or (1, 1))[axis] - length), length))
        return found[0], found[1]

    def _slide(self, node: Node, sliding: Sliding) -> None:
        taken, (rows, cols) = node.inputs[0], self.region(node)
        wanted = _seen(sliding, 0, rows), _seen(sliding, 1, cols)
        outside = _beyond(sliding, 0, node), _beyond(sliding, 1, node)
        self.regions[node] = rows, cols
        self._step(
            Cell(node, False),
            [Cell(taken, False)],
            [self._assembly(taken, wanted, (*outside[1], *outside[0]), sliding.outside)],
            sliding.valid,
        )

    def _shift(self, node: Node, padding: Padding) -> None:
        rows, cols = self.regions[node.inputs[0]]
        self.regions[node] = rows.moved(padding.before(0)), cols.moved(padding.before(1))
        self._step(Cell(node, False), [Cell(node.inputs[0], False)], [None], _first)

    def _merge(self, node: Node) -> None:
        region = self.region(node) if len(node.inputs) > 1 else self.regions[node.inputs[0]]
        self.regions[node] = region
        puts = [self._assembly(taken, region) for taken in node.inputs]
        self._step(Cell(node, False), [Cell(taken, False) for taken in node.inputs], puts, node.operator)

    def _assembly(
        self, node: Node, wanted: Region, border: tuple[int, int, int, int] = (0, 0, 0, 0), outside: float = 0.0
    ) -> Assembly | None:
        """Return how `wanted` is assembled from the known rectangle; None if it is the same."""
        known = self.regions[node]
        if all(one.same(other) for one, other in zip(wanted, known, strict=True)):
            return None
        left, _, top, _ = border
        within = [(rows.moved(top), cols.moved(left)) for rows, cols in (wanted, known)]
        return Assembly.of(Kept(node, border, outside), *within)

    def _step(self, makes: Cell, takes: Sequence[Cell], puts: Sequence[Assembly | None], computes: Any) -> None:
        share = 1.0
        if not makes.whole and makes.node.grid:
            rows, cols = self.regions[makes.node]
            share = rows.length * cols.length / (makes.node.grid[0] * makes.node.grid[1])
        work = 0.0 if computes is _first else makes.node.work * share
        self.steps.append(Step(makes, tuple(takes), tuple(puts), computes, int(makes.node.size * share), work))


def _first(inputs: Sequence[Any], count: int) -> Any:
    return inputs[0]


def _seen(sliding: Sliding, axis: int, places: Extent) -> Extent:
    """Return the part of the input that these places depend on; it can reach over the border."""
    stride = sliding.stride[axis]
    starts = places.starts * stride - sliding.padding[axis]
    return Extent(starts, (places.length - 1) * stride + sliding.span(axis))


def _beyond(sliding: Sliding, axis: int, node: Node) -> Pair:
    """Return how far the first and the last window reach over the border."""
    places, taken = (node.grid or (1, 1))[axis], (node.inputs[0].grid or (1, 1))[axis]
    before = sliding.padding[axis]
    return before, max(0, (places - 1) * sliding.stride[axis] + sliding.span(axis) - before - taken)
