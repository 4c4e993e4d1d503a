"""The last feature maps before the classifier."""

from __future__ import annotations

import torch

from auditor.methods.attribution.grid import has_square_cells
from auditor.methods.occlusion.incremental.graph import Graph, Node
from auditor.methods.occlusion.incremental.operators import AveragePool, MaxPool, Opaque, Pair

_aten = torch.ops.aten
_BETWEEN_PLACES = (_aten.scaled_dot_product_attention.default, _aten.matmul.default, _aten.bmm.default)


def last_features(graph: Graph, image: Pair) -> Node | None:
    """Return the last node that is a stack of feature maps, is no pooling, and through which alone the image acts.

    None if attention follows, as in a vision transformer, or if there is no such node.

    Args:
        image: Height and width of the images.
    """
    places = {node: i for i, node in enumerate(graph.nodes)}
    last_attention = max((places[node] for node in graph.nodes if _is_attention(node)), default=0)
    maps = [node for node in graph.narrows()[1:] if places[node] > last_attention and _are_features(node, image)]
    return maps[-1] if maps else None


def _is_attention(node: Node) -> bool:
    return isinstance(node.operator, Opaque) and node.operator.target in _BETWEEN_PLACES


def _are_features(node: Node, image: Pair) -> bool:
    if node.grid is None or node.grid == (1, 1) or isinstance(node.operator, MaxPool | AveragePool):
        return False
    return has_square_cells(torch.empty(1, *(node.shape or ()), device="meta"), image)
