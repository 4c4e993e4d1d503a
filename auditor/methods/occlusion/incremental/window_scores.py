"""The scores of all windows of an image, by a plan or by computing complete images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from auditor.methods.occlusion.incremental.graph import Cell, Graph, Node
from auditor.methods.occlusion.incremental.memory_budget import Budget
from auditor.methods.occlusion.incremental.plan import Group, Plan
from auditor.methods.occlusion.incremental.rectangle_assembly import Assembly, Kept
from auditor.methods.occlusion.incremental.steps import Step, Values, peak, settled, whole
from auditor.methods.occlusion.windows import Windows

Maps = Float[Tensor, "1 c h w"]
Wanted = Bool[Tensor, "rows cols"] | None  # None: all windows of the grid
_NO_BORDER = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Passed:
    """The results for some windows.

    Attributes:
        numbers: Of the windows, counted row by row over the grid.
        scores: The scores, `[b, k]`.
        totals: The sum of each map of the watched node, `[b, c]`; without columns if no node is watched.
    """

    numbers: Int64[Tensor, " b"]
    scores: Float[Tensor, "b k"]
    totals: Float[Tensor, "b c"]


class Incremental:
    """Compute what the windows change, and take the rest from the clean image."""

    def __init__(self, plan: Plan, watched: Node | None) -> None:
        self.plan = plan
        self._rest = _Rest(plan.meeting, plan.tail, watched)

    def __call__(self, image: Maps, fill: Maps, wanted: Wanted = None) -> Iterator[Passed]:
        """Yield the scores of the image with each of the wanted windows filled, in any order."""
        clean = _kept(self.plan, image)
        waiting: list[tuple[Tensor, Tensor]] = []
        for group in self.plan.groups(None if wanted is None else wanted.cpu().numpy()):
            waiting.append((torch.from_numpy(group.numbers).to(image.device), self._met(group, clean, fill)))
            if sum(len(numbers) for numbers, _ in waiting) >= self.plan.tail_batch:
                yield from self._passed(waiting)
                waiting = []
        if waiting:
            yield from self._passed(waiting)

    def _met(self, group: Group, clean: Mapping[Kept, Tensor], fill: Maps) -> Tensor:
        """Return the whole output of the node at which windows meet, for a group of them."""
        images = self.plan.graph.images
        filled = Kept(images, _NO_BORDER, 0.0)
        windows = group.origins(self.plan.windows)
        values: Values = {Cell(images, whole=False): Assembly.of(filled, windows)({filled: filled.of(fill)})}
        for step in group.steps:
            step(values, clean, len(group.numbers))
        return values[Cell(self.plan.meeting)]  # type: ignore[no-any-return]

    def _passed(self, waiting: Sequence[tuple[Tensor, Tensor]]) -> Iterator[Passed]:
        numbers, values = (torch.cat(parts) for parts in zip(*waiting, strict=True))
        batch = self.plan.tail_batch
        for some, met in zip(numbers.split(batch), values.split(batch), strict=True):
            yield Passed(some, *self._rest(met))


class Whole:
    """Compute the graph for each complete image."""

    def __init__(self, graph: Graph, watched: Node | None, windows: Windows, budget: Budget) -> None:
        self._windows = windows
        self._rest = _Rest(graph.images, whole(graph.nodes[1:]), watched)
        steps = whole(graph.nodes[1:])
        largest = max(step.size for step in steps)
        self.batch = budget.whole(peak(steps, {Cell(graph.images): graph.images.size}), largest)

    def clean(self, image: Maps) -> Passed:
        """Return the scores of the image itself, as those of window 0."""
        return Passed(torch.zeros(1, dtype=torch.int64, device=image.device), *self._rest(image))

    def __call__(self, image: Maps, fill: Maps, wanted: Wanted = None) -> Iterator[Passed]:
        """Yield the scores of the image with each of the wanted windows filled."""
        for numbers, filled in occluded(image, fill, self._windows, self.batch, wanted):
            yield Passed(numbers, *self._rest(filled))


def occluded(image: Maps, fill: Maps, windows: Windows, batch: int, wanted: Wanted) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the numbers of windows and the images with these windows filled, batch by batch."""
    asked = torch.arange(len(windows)) if wanted is None else wanted.flatten().nonzero().flatten()
    for numbers in asked.to(image.device).split(batch):
        filled = torch.where(windows.inside(numbers)[:, None], fill, image)
        yield numbers, filled.contiguous(memory_format=torch.channels_last)


class _Rest:
    """The steps after a node, and the watched node's totals."""

    def __init__(self, start: Node, steps: Sequence[Step], watched: Node | None) -> None:
        self._start, self._watched = Cell(start), watched and Cell(watched)
        self._end = steps[-1].makes if steps else self._start
        self._steps = settled(steps, keep=[self._end])

    def __call__(self, value: Tensor) -> tuple[Tensor, Tensor]:
        count = len(value)
        values: Values = {self._start: value}
        totals = value.new_zeros(count, 0)
        for step in (None, *self._steps):
            if step is not None:
                step(values, {}, count)
            if self._watched and (self._start if step is None else step.makes) == self._watched:
                totals = values[self._watched].sum((2, 3))
        return values[self._end], totals


def _kept(plan: Plan, image: Maps) -> dict[Kept, Tensor]:
    """Return the maps of the clean image that the plan needs."""
    asked: dict[Node, list[Kept]] = defaultdict(list)
    for kept in plan.kept:
        asked[kept.node].append(kept)
    nodes = plan.graph.nodes[: plan.graph.nodes.index(plan.meeting) + 1]
    values: Values = {Cell(nodes[0]): image}
    found = {kept: kept.of(image) for kept in asked[nodes[0]]}
    for step in whole(nodes[1:], overwrite=False):
        step(values, {}, 1)
        found.update({kept: kept.of(values[step.makes]) for kept in asked[step.makes.node]})
    return found
