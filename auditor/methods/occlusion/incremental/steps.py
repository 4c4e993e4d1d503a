"""What is computed for a batch, step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from auditor.methods.occlusion.incremental.graph import Cell, Node
from auditor.methods.occlusion.incremental.operators import Affine, Placewise, owns_its_output
from auditor.methods.occlusion.incremental.rectangle_assembly import Assembly, Kept

Values = MutableMapping[Cell, Any]


@dataclass(frozen=True, eq=False)
class Step:
    """One value of a batch, made of others.

    Attributes:
        assemblies: How each of those that it takes is brought to the place where it is needed; None as it is.
        size: Bytes of the value for one image.
        work: Multiplications for one image.
        spent: What no later step takes.
    """

    makes: Cell
    takes: tuple[Cell, ...]
    assemblies: tuple[Assembly | None, ...]
    computes: Callable[[Sequence[Any], int], Any]
    size: int
    work: float = 0.0
    spent: frozenset[Cell] = frozenset()

    def __call__(self, values: Values, clean: Mapping[Kept, Tensor], count: int) -> None:
        """Add the value, and drop those that are spent."""
        pairs = zip(self.takes, self.assemblies, strict=True)
        inputs = [values[cell] if put is None else put(clean, values[cell]) for cell, put in pairs]
        for cell in self.spent:
            values.pop(cell, None)
        values[self.makes] = self.computes(inputs, count)


def whole(nodes: Collection[Node], *, overwrite: bool = True) -> list[Step]:
    """Return the steps that compute nodes in whole, each behind those that it takes.

    Args:
        overwrite: Write over what no later step takes.
    """
    steps = [
        Step(Cell(node), tuple(map(Cell, node.inputs)), (None,) * len(node.inputs), node.operator, node.size, node.work)
        for node in nodes
    ]
    return settled(steps, overwrite=overwrite)


def settled(steps: Sequence[Step], *, keep: Collection[Cell] = (), overwrite: bool = True) -> list[Step]:
    """Return the steps with what is spent at each, and written over what is spent where that can be."""
    last = {cell: i for i, step in enumerate(steps) for cell in step.takes}
    takers = Counter(cell for step in steps for cell in step.takes)
    found = []
    for i, step in enumerate(steps):
        ends = frozenset(cell for cell in step.takes if last[cell] == i and cell not in keep)
        found.append(replace(step, spent=ends, computes=_cheapest(step, ends, takers) if overwrite else step.computes))
    return found


def peak(steps: Sequence[Step], given: Mapping[Cell, int]) -> int:
    """Return how many bytes of values there are at most at once, for one image.

    Args:
        given: What there is before, and its bytes.
    """
    alive, most = dict(given), sum(given.values())
    for step in steps:
        alive[step.makes] = step.size
        crops = sum(put.size for put in step.assemblies if put)
        most = max(most, sum(alive.values()) + crops + step.size)  # once more, for what the operator itself needs
        for cell in step.spent:
            alive.pop(cell, None)
    return most


def _cheapest(step: Step, spent: Collection[Cell], takers: Mapping[Cell, int]) -> Callable[[Sequence[Any], int], Any]:
    """Return the way to compute a step that takes no new memory, where nothing else looks at its first input."""
    computes = step.makes.node.operator
    if not isinstance(computes, Placewise | Affine) or step.computes is not computes:
        return step.computes
    first = step.takes[0]
    ours = first in spent and takers[first] == 1 and (owns_its_output(first.node.operator))
    return computes.written_over if ours or step.assemblies[0] else computes
