"""A plan: which windows are computed together, and in which steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.language import _
from auditor.methods.occlusion.incremental.graph import Cell, Graph, Node
from auditor.methods.occlusion.incremental.memory_budget import Budget
from auditor.methods.occlusion.incremental.operators import Opaque
from auditor.methods.occlusion.incremental.rectangle_assembly import Extent, Kept, Region
from auditor.methods.occlusion.incremental.rectangle_steps import Intervals, Shapes, rectangle_steps
from auditor.methods.occlusion.incremental.rectangles import Interval, Whole, changed
from auditor.methods.occlusion.incremental.steps import Step, peak, whole
from auditor.methods.occlusion.incremental.window_groups import grouped_positions
from auditor.methods.occlusion.windows import Windows

_MOST_COVERED = 0.9  # larger rectangles are not worth cutting out
_LEAST_SAVING = 1.1
_BYTE = 8  # writing a byte takes as long as this many multiplications
_STEP = 4_000  # bytes of a step of a group
_HELD = 16  # one part in 16 of the memory is for groups that are kept from one image to the next
_NEARLY_COVERED = 0.93  # share of an axis, on average, from which on all windows are computed together


class NothingToSave(Exception):
    """A plan would save nothing, or does not fit into memory; the text says why."""


@dataclass(frozen=True, eq=False)
class Group:
    """Windows whose rectangles have the same sizes: those at all pairs of some rows and columns of the grid.

    Attributes:
        numbers: Of the windows, counted row by row over the grid.
        steps: From the images to the whole output of the node at which all windows meet.
    """

    rows: Whole
    cols: Whole
    numbers: Whole
    steps: Sequence[Step]

    def origins(self, windows: Windows) -> Region:
        """Return the places of the windows in the image."""
        (high, wide), (rows, cols) = windows.window, (np.array(windows.rows), np.array(windows.cols))
        return Extent(rows[self.rows], high), Extent(cols[self.cols], wide)


@dataclass(frozen=True, eq=False)
class Plan:
    """How the scores of all windows are computed.

    Attributes:
        meeting: The node from which on windows are no longer computed in groups.
        drafts: Windows whose rectangles have the same sizes.
        budget: The memory for a group of windows.
        tail: The steps after the meeting.
        tail_batch: Number of windows per batch in the tail.
        kept: The maps of the clean image that are needed.
        held: Number of groups to keep from one image to the next; others are made again.
        stop: The operator without a rule that made windows meet; empty if none did.
    """

    graph: Graph
    windows: Windows
    meeting: Node
    drafts: Sequence[Draft]
    budget: Budget
    tail: Sequence[Step]
    tail_batch: int
    kept: frozenset[Kept]
    held: int
    stop: str

    def groups(self, wanted: NDArray[np.bool_] | None = None) -> Iterator[Group]:
        """Return windows in groups, one group after the other.

        Args:
            wanted: Which windows, `[rows, cols]`; None for all.
        """
        if wanted is not None:
            return self._made(wanted)
        return self._all()

    @cached_property
    def saving(self) -> float:
        """The work of computing all windows completely over that of the plan: multiplications, and bytes written."""
        all_whole = sum(_work(node.work, node.size) for node in self.graph.nodes)
        tail = sum(_work(step.work, step.size) for step in self.tail)
        rectangles = sum(_work(draft.demand.work, draft.demand.written) * len(draft) for draft in self.drafts)
        return all_whole * len(self.windows) / max(tail * len(self.windows) + rectangles, 1)

    @cached_property
    def share(self) -> float:
        """The share of the network, by its multiplications, that is computed on rectangles: 0 to 1."""
        partial = sum(draft.demand.partial * len(draft) for draft in self.drafts)
        return partial / max(sum(node.work for node in self.graph.nodes) * len(self.windows), 1)

    def _all(self) -> Iterator[Group]:
        yield from self._held
        yield from self._made(self._everything, skip=self.held)

    @cached_property
    def _held(self) -> Sequence[Group]:
        return list(islice(self._made(self._everything), self.held))

    @property
    def _everything(self) -> NDArray[np.bool_]:
        return np.ones(self.windows.grid, dtype=bool)

    def _made(self, wanted: NDArray[np.bool_], skip: int = 0) -> Iterator[Group]:
        places = ((draft, *place) for draft in self.drafts for place in draft.places(self.budget, wanted))
        for draft, rows, cols in islice(places, skip, None):
            yield draft.group(rows, cols, self.windows)


def planned(graph: Graph, windows: Windows, budget: Budget, watched: Node | None = None) -> Plan:
    """Return the plan for a graph.

    Args:
        watched: A node whose whole output is needed for each window.

    Raises:
        NothingToSave: A window changes nearly everything, or the maps of the clean image do not fit into memory.
    """
    intervals = _intervals(graph, windows)
    meeting = _meeting(graph, intervals, watched)
    end = graph.nodes.index(meeting) + 1
    drafts = list(_drafts(graph.nodes[:end], intervals))
    kept = frozenset(one for draft in drafts for one in draft.demand.kept)
    left = _left(graph, kept, budget)
    tail = whole(graph.nodes[end:])
    held = budget.memory // _HELD // (_STEP * end)
    batch, stop = _tail_batch(meeting, tail, left), _stop(graph, intervals, meeting)
    plan = Plan(graph, windows, meeting, drafts, left, tail, batch, kept, held, stop)
    if plan.saving < _LEAST_SAVING:
        why = stop or _("a window changes nearly the whole image")
        raise NothingToSave(_("{why}: only {saving:.2f} times less work", why=why, saving=plan.saving))
    return plan


def _intervals(graph: Graph, windows: Windows) -> Intervals:
    found = []
    for axis, origins in enumerate((windows.rows, windows.cols)):
        first = np.array(origins)
        found.append(changed(graph, axis, Interval(first, first + windows.window[axis])))
    return found[0], found[1]


def _meeting(graph: Graph, intervals: Intervals, watched: Node | None) -> Node:
    """Return the first bottleneck that the windows nearly cover, that has no places, or that is watched."""
    for node in graph.narrows():
        if node is watched or not all(node in on for on in intervals) or _covered(node, intervals) >= _NEARLY_COVERED:
            return node
    return graph.scores


def _stop(graph: Graph, intervals: Intervals, meeting: Node) -> str:
    """Return the operator without a rule at or before the meeting; empty if there is none."""
    if all(meeting in on for on in intervals):
        return ""
    first = next(node for node in graph.nodes if not all(node in on for on in intervals))
    name = first.operator.target if isinstance(first.operator, Opaque) else first.name
    if first.layer:
        return _("{operator} in {layer} has no rule for rectangles", operator=name, layer=first.layer)
    return _("{operator} has no rule for rectangles", operator=name)


def _work(multiplications: float, written: int) -> float:
    """Return the work in multiplications."""
    return multiplications + _BYTE * written


def _covered(node: Node, intervals: Intervals) -> float:
    """Return the share of a map's rows, or of its columns if that is less, that a window changes on average."""
    grid = node.grid or (1, 1)
    return float(min(on[node].lengths.mean() / places for on, places in zip(intervals, grid, strict=True)))


class Demand(NamedTuple):
    """The resources that a window needs.

    Attributes:
        kept: Maps of the clean image.
        alive: Bytes at once.
        largest: Bytes of the largest value.
        work: Multiplications.
        partial: Multiplications that the steps on rectangles would take on complete maps.
        written: Bytes.
    """

    kept: frozenset[Kept]
    alive: int
    largest: int
    work: float
    partial: float
    written: int

    @classmethod
    def of(cls, steps: Sequence[Step], images: Node) -> Demand:
        puts = [put for step in steps for put in step.assemblies if put]
        return cls(
            frozenset(put.kept for put in puts),
            peak(steps, {Cell(images, whole=False): images.size}),
            max([step.size for step in steps] + [put.size for put in puts]),
            sum(step.work for step in steps),
            sum(step.makes.node.work for step in steps if not step.makes.whole),
            sum(step.size for step in steps) + sum(put.size for put in puts),
        )


@dataclass(frozen=True, eq=False)
class Draft:
    """Rows and columns of the grid whose windows have rectangles of the same sizes."""

    nodes: Sequence[Node]
    intervals: Intervals
    shapes: Shapes
    rows: Whole
    cols: Whole

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    @cached_property
    def demand(self) -> Demand:
        return Demand.of(rectangle_steps(self.nodes, self.intervals, self.shapes, self.rows, self.cols), self.nodes[0])

    def places(self, budget: Budget, wanted: NDArray[np.bool_]) -> Iterator[tuple[Whole, Whole]]:
        """Yield the rows and columns of the wanted windows, as many at once as the budget allows."""
        together = budget.group(self.demand.alive, self.demand.largest)
        for rows, cols in _blocks(self.rows, self.cols, wanted):
            yield from _chunks(rows, cols, together)

    def group(self, rows: Whole, cols: Whole, windows: Windows) -> Group:
        """Return the windows at these rows and columns as a group."""
        numbers = rows[:, None] * windows.grid[1] + cols
        return Group(
            rows, cols, numbers.reshape(-1), rectangle_steps(self.nodes, self.intervals, self.shapes, rows, cols)
        )


def _drafts(nodes: Sequence[Node], intervals: Intervals) -> Iterator[Draft]:
    on_rows, on_cols = ({node: on[node] for node in nodes if node in on} for on in intervals)
    high, wide = (len(on[nodes[0]].first) for on in intervals)
    for rows in grouped_positions(on_rows, wide):
        for cols in grouped_positions(on_cols, high):
            yield Draft(nodes, intervals, Shapes.of(nodes, intervals, rows, cols, most=_MOST_COVERED), rows, cols)


def _blocks(rows: Whole, cols: Whole, wanted: NDArray[np.bool_]) -> Iterator[tuple[Whole, Whole]]:
    """Yield rows in which the same columns are wanted, and these columns."""
    patterns, of_row = np.unique(wanted[np.ix_(rows, cols)], axis=0, return_inverse=True)
    for i, pattern in enumerate(patterns):
        if pattern.any():
            yield rows[of_row.reshape(-1) == i], cols[pattern]


def _chunks(rows: Whole, cols: Whole, most: int) -> Iterator[tuple[Whole, Whole]]:
    """Yield parts of the rows and columns with at most `most` pairs, of similar sizes."""
    wide = min(len(cols), most)
    high = max(1, most // wide)
    for some_rows in np.array_split(rows, -(-len(rows) // high)):
        for some_cols in np.array_split(cols, -(-len(cols) // wide)):
            yield some_rows, some_cols


def _left(graph: Graph, kept: frozenset[Kept], budget: Budget) -> Budget:
    """Return the budget that remains after the maps of the clean image and the steps of groups.

    Raises:
        NothingToSave: Nothing remains.
    """
    size, once = sum(one.size for one in kept), peak(whole(graph.nodes[1:]), {Cell(graph.images): graph.images.size})
    if budget.memory // _HELD + size + 2 * once > budget.memory:
        message = _(
            "the maps of the clean image need {size} of {memory} MiB",
            size=size + 2 * once >> 20,
            memory=budget.memory >> 20,
        )
        raise NothingToSave(message)
    left = budget.memory - budget.memory // _HELD - size
    return replace(budget, memory=left // 2)  # a half for groups, a half for windows that wait for the tail


def _tail_batch(meeting: Node, tail: Sequence[Step], budget: Budget) -> int:
    largest = max([meeting.size, *(step.size for step in tail)])
    return budget.whole(meeting.size + peak(tail, {Cell(meeting): meeting.size}), largest)
