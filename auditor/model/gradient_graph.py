"""The ways from a score back to the images in the graph of autograd, and the operators at which they end."""

from __future__ import annotations

from collections.abc import Callable

from torch.autograd.graph import Node

_UNKNOWN = "NotImplemented"  # torch gives zeros there, with a warning or without


def obstacles(start: Node, end: Node | None, is_obstacle: Callable[[Node], bool]) -> list[Node] | None:
    """Return the nodes at which every way from `start` to `end` is cut; None if a way is open or no way is cut."""
    waiting, seen, met = [start], set[Node](), list[Node]()
    while waiting:
        node = waiting.pop()
        if node is end:
            return None
        if node in seen:
            continue
        seen.add(node)
        if is_obstacle(node):
            met.append(node)
        else:
            waiting += [before for before, _number in node.next_functions if before is not None]
    return met or None


def has_no_formula(node: Node) -> bool:
    """Return whether torch can't differentiate the operator, as those of quantised tensors."""
    return node.name().endswith(_UNKNOWN)
