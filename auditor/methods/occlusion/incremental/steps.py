"""The steps that compute a batch."""

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
    """The computation of one value of a batch from others.

    Attributes:
        assemblies: How to bring each input to the place where it is needed; None if it is there.
        size: Bytes of the value per image.
        work: Multiplications per image.
        spent: Values that no later step needs.
    """

    makes: Cell
    takes: tuple[Cell, ...]
    assemblies: tuple[Assembly | None, ...]
    computes: Callable[[Sequence[Any], int], Any]
    size: int
    work: float = 0.0
    spent: frozenset[Cell] = frozenset()

    def __call__(self, values: Values, clean: Mapping[Kept, Tensor], count: int) -> None:
        """Add the value, and drop the spent ones."""
        pairs = zip(self.takes, self.assemblies, strict=True)
        inputs = [values[cell] if put is None else put(clean, values[cell]) for cell, put in pairs]
        for cell in self.spent:
            values.pop(cell, None)
        values[self.makes] = self.computes(inputs, count)


def whole(nodes: Collection[Node], *, overwrite: bool = True) -> list[Step]:
    """Return the steps that compute complete nodes, each after its inputs.

    Args:
        overwrite: Write over values that no later step needs.
    """
    steps = [
        Step(Cell(node), tuple(map(Cell, node.inputs)), (None,) * len(node.inputs), node.operator, node.size, node.work)
        for node in nodes
    ]
    return settled(steps, overwrite=overwrite)


def settled(steps: Sequence[Step], *, keep: Collection[Cell] = (), overwrite: bool = True) -> list[Step]:
    """Return the steps with the values that are spent at each. Steps write over spent values where possible."""
    last = {cell: i for i, step in enumerate(steps) for cell in step.takes}
    takers = Counter(cell for step in steps for cell in step.takes)
    found = []
    for i, step in enumerate(steps):
        ends = frozenset(cell for cell in step.takes if last[cell] == i and cell not in keep)
        found.append(replace(step, spent=ends, computes=_cheapest(step, ends, takers) if overwrite else step.computes))
    return found


def peak(steps: Sequence[Step], given: Mapping[Cell, int]) -> int:
    """Return the largest number of bytes in use at once, per image.

    Args:
        given: The values that exist before, with their bytes.
    """
    alive, most = dict(given), sum(given.values())
    for step in steps:
        alive[step.makes] = step.size
        crops = sum(put.size for put in step.assemblies if put)
        most = max(most, sum(alive.values()) + crops + step.size)  # the operator itself needs as much again
        for cell in step.spent:
            alive.pop(cell, None)
    return most


def _cheapest(step: Step, spent: Collection[Cell], takers: Mapping[Cell, int]) -> Callable[[Sequence[Any], int], Any]:
    """Return the computation without new memory if nothing else needs the first input."""
    computes = step.makes.node.operator
    if not isinstance(computes, Placewise | Affine) or step.computes is not computes:
        return step.computes
    first = step.takes[0]
    ours = first in spent and takers[first] == 1 and (owns_its_output(first.node.operator))
    return computes.written_over if ours or step.assemblies[0] else computes
