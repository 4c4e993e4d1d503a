"""Which windows are computed together, and in what steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditor.methods.incremental.assembly import Extent, Kept, Region
from auditor.methods.incremental.geometry import alike
from auditor.methods.incremental.graph import Cell, Graph, Node
from auditor.methods.incremental.recipe import Intervals, Shapes, recipe
from auditor.methods.incremental.rectangles import Interval, Whole, changed
from auditor.methods.incremental.room import Room
from auditor.methods.incremental.steps import Step, peak, whole
from auditor.methods.windows import Windows

_MOST_COVERED = 0.9  # a rectangle that covers more of a map is not worth being cut out
_LEAST_SAVING = 1.1
_NEARLY_COVERED = 0.93  # on an axis, on average: from here on all windows go on together


class NothingToSave(Exception):
    """The windows are not worth a plan, or there is no room for one; the text says why."""


@dataclass(frozen=True, eq=False)
class Group:
    """Windows whose rectangles have the same sizes: those at all pairs of some rows and columns of the grid.

    Attributes:
        numbers: Of the windows, counted row by row over the grid.
        steps: From the images to the whole of the node at which all windows meet.
    """

    rows: Whole
    cols: Whole
    numbers: Whole
    steps: Sequence[Step]

    def origins(self, windows: Windows) -> Region:
        """Return where the windows lie in the image."""
        (high, wide), (rows, cols) = windows.window, (np.array(windows.rows), np.array(windows.cols))
        return Extent(rows[self.rows], high), Extent(cols[self.cols], wide)

    @cached_property
    def work(self) -> float:
        """Multiplications for all of its windows."""
        return sum(step.work for step in self.steps) * len(self.numbers)


@dataclass(frozen=True, eq=False)
class Plan:
    """How the scores for all windows are computed.

    Attributes:
        meeting: The node from which on windows are no longer computed in groups.
        drafts: Windows whose rectangles have the same sizes, and the room for a group of them.
        tail: The steps behind the meeting.
        tail_batch: How many windows go through it together.
        kept: What is needed of the clean image.
    """

    graph: Graph
    windows: Windows
    meeting: Node
    drafts: Sequence[Draft]
    room: Room
    tail: Sequence[Step]
    tail_batch: int
    kept: frozenset[Kept]

    @cached_property
    def groups(self) -> Sequence[Group]:
        """All windows in groups."""
        return self.groups_of(np.ones(self.windows.grid, dtype=bool))

    def groups_of(self, wanted: NDArray[np.bool_]) -> Sequence[Group]:
        """Return the wanted windows, `[rows, cols]`, in groups."""
        return [group for draft in self.drafts for group in draft.groups(self.windows, self.room, wanted)]

    @cached_property
    def saving(self) -> float:
        """The multiplications of all windows, each in whole, over those of the plan."""
        tail = sum(step.work for step in self.tail) * len(self.windows)
        all_whole = sum(node.work for node in self.graph.nodes) * len(self.windows)
        return all_whole / max(tail + sum(group.work for group in self.groups), 1)

    @cached_property
    def share(self) -> float:
        """How much of the network, by the multiplications that it takes in whole, is computed on rectangles."""
        partial = sum(
            step.makes.node.work * len(group.numbers)
            for group in self.groups
            for step in group.steps
            if not step.makes.whole
        )
        return partial / max(sum(node.work for node in self.graph.nodes) * len(self.windows), 1)


def planned(graph: Graph, windows: Windows, room: Room, watched: Node | None = None) -> Plan:
    """Return the plan for a graph.

    Args:
        watched: A node of which the whole is asked for, for each window.

    Raises:
        NothingToSave: A window changes nearly everything, or what is kept of the clean image does not fit.
    """
    intervals = _intervals(graph, windows)
    meeting = _meeting(graph, intervals, watched)
    end = graph.nodes.index(meeting) + 1
    drafts = list(_drafts(graph.nodes[:end], intervals))
    kept = frozenset(put.kept for draft in drafts for step in draft.steps for put in step.assemblies if put)
    left = _left(graph, kept, room)
    tail = whole(graph.nodes[end:])
    plan = Plan(graph, windows, meeting, drafts, left, tail, _tail_batch(meeting, tail, left), kept)
    if plan.saving < _LEAST_SAVING:
        raise NothingToSave(f"a window changes nearly all: only {plan.saving:.2f} times fewer multiplications")
    return plan


def _intervals(graph: Graph, windows: Windows) -> Intervals:
    found = []
    for axis, origins in enumerate((windows.rows, windows.cols)):
        first = np.array(origins)
        found.append(changed(graph, axis, Interval(first, first + windows.window[axis])))
    return found[0], found[1]


def _meeting(graph: Graph, intervals: Intervals, watched: Node | None) -> Node:
    """Return the first node, on which all behind it depends, that the windows nearly cover or that has no places."""
    for node in graph.narrows():
        if node is watched or not all(node in on for on in intervals) or _covered(node, intervals) >= _NEARLY_COVERED:
            return node
    return graph.scores


def _covered(node: Node, intervals: Intervals) -> float:
    """Return which share of a map's rows, or of its columns if that is less, changes on average."""
    grid = node.grid or (1, 1)
    return float(min(on[node].lengths.mean() / places for on, places in zip(intervals, grid, strict=True)))


@dataclass(frozen=True, eq=False)
class Draft:
    """Rows and columns of the grid whose windows have rectangles of the same sizes.

    Attributes:
        steps: For all of them together; they show what is needed of the clean image, and how large things are.
    """

    nodes: Sequence[Node]
    intervals: Intervals
    shapes: Shapes
    rows: Whole
    cols: Whole

    @cached_property
    def steps(self) -> Sequence[Step]:
        return recipe(self.nodes, self.intervals, self.shapes, self.rows, self.cols)

    def groups(self, windows: Windows, room: Room, wanted: NDArray[np.bool_]) -> Iterator[Group]:
        """Return those of its windows that are wanted, as many in a group as there is room for."""
        images = Cell(self.nodes[0], whole=False)
        largest = max(max([step.size, *(put.size for put in step.assemblies if put)]) for step in self.steps)
        together = room.group(peak(self.steps, {images: self.nodes[0].size}), largest)
        for some_rows, some_cols in _blocks(self.rows, self.cols, wanted):
            for rows, cols in _chunks(some_rows, some_cols, together):
                numbers = rows[:, None] * windows.grid[1] + cols
                steps = recipe(self.nodes, self.intervals, self.shapes, rows, cols)
                yield Group(rows, cols, numbers.reshape(-1), steps)


def _drafts(nodes: Sequence[Node], intervals: Intervals) -> Iterator[Draft]:
    on_rows, on_cols = ({node: on[node] for node in nodes if node in on} for on in intervals)
    high, wide = (len(on[nodes[0]].first) for on in intervals)
    for rows in alike(on_rows, wide):
        for cols in alike(on_cols, high):
            yield Draft(nodes, intervals, Shapes.of(nodes, intervals, rows, cols, most=_MOST_COVERED), rows, cols)


def _blocks(rows: Whole, cols: Whole, wanted: NDArray[np.bool_]) -> Iterator[tuple[Whole, Whole]]:
    """Return rows in which the same columns are wanted, and these columns."""
    patterns, of_row = np.unique(wanted[np.ix_(rows, cols)], axis=0, return_inverse=True)
    for i, pattern in enumerate(patterns):
        if pattern.any():
            yield rows[of_row.reshape(-1) == i], cols[pattern]


def _chunks(rows: Whole, cols: Whole, most: int) -> Iterator[tuple[Whole, Whole]]:
    """Cut rows and columns so that there are at most `most` pairs of them, and about as many in each chunk."""
    wide = min(len(cols), most)
    high = max(1, most // wide)
    for some_rows in np.array_split(rows, -(-len(rows) // high)):
        for some_cols in np.array_split(cols, -(-len(cols) // wide)):
            yield some_rows, some_cols


def _left(graph: Graph, kept: frozenset[Kept], room: Room) -> Room:
    """Return the room beside what is kept of the clean image.

    Raises:
        NothingToSave: There is none.
    """
    size, once = sum(one.size for one in kept), peak(whole(graph.nodes[1:]), {Cell(graph.images): graph.images.size})
    if size + 2 * once > room.memory:
        raise NothingToSave(f"keeping the clean image's maps takes {size + 2 * once >> 20} of {room.memory >> 20} MiB")
    return replace(room, memory=(room.memory - size) // 2)  # a half for groups, a half for what waits for the tail


def _tail_batch(meeting: Node, tail: Sequence[Step], room: Room) -> int:
    largest = max([meeting.size, *(step.size for step in tail)])
    return room.whole(meeting.size + peak(tail, {Cell(meeting): meeting.size}), largest)
