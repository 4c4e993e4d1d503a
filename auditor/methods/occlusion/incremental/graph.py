"""A network as a list of nodes; each comes after its inputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from auditor.methods.occlusion.incremental.operators import Convolution, Operator


@dataclass(frozen=True, eq=False)
class Node:
    """A value and the operator that computes it.

    Attributes:
        shape: The shape for one image; None if the images are not the first dimension.
        size: Bytes per image.
        weights: Number of multiplications for one place of the output.
        layer: The module that computes it, or an empty string.
    """

    name: str
    operator: Operator
    inputs: tuple[Node, ...]
    shape: tuple[int, ...] | None
    size: int
    weights: int = 0
    layer: str = ""

    def __repr__(self) -> str:
        return f"Node({self.name}, {type(self.operator).__name__}, {self.shape})"

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns of its maps; None if it is not a stack of maps."""
        return (self.shape[1], self.shape[2]) if self.shape and len(self.shape) == 3 else None

    @property
    def work(self) -> float:
        """Multiplications per image."""
        if not self.weights or not self.shape:
            return 0.0
        by_place = isinstance(self.operator, Convolution) and self.grid is not None
        return 1.0 * self.weights * prod(self.shape[1:] if by_place else self.shape)


class Cell(NamedTuple):
    """A value while a batch is computed: the whole output of a node, or one rectangle of it for each image."""

    node: Node
    whole: bool = True


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in an order in which they can be computed. The first one is the images, the last one the scores."""

    nodes: tuple[Node, ...]

    @property
    def images(self) -> Node:
        return self.nodes[0]

    @property
    def scores(self) -> Node:
        return self.nodes[-1]

    def narrows(self) -> list[Node]:
        """Return the nodes through which alone the images act on all later nodes."""
        last = {taken: i for i, node in enumerate(self.nodes) for taken in node.inputs}
        reach, found = 0, []
        for i, node in enumerate(self.nodes):
            if reach <= i and node.shape is not None:
                found.append(node)
            reach = max(reach, last.get(node, 0))
        return found


def needed(scores: Node, nodes: Iterable[Node]) -> Graph:
    """Return the graph of the nodes that the scores depend on."""
    wanted, kept = {scores}, []
    for node in reversed(list(nodes)):
        if node in wanted:
            wanted.update(node.inputs)
            kept.append(node)
    return Graph(tuple(reversed(kept)))
