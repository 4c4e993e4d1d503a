"""Folding of factors and offsets of channels, such as those of batch norm, into the convolution before them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import torch
from torch import Tensor

from auditor.methods.occlusion.incremental.graph import Graph, Node, needed
from auditor.methods.occlusion.incremental.operators import Affine, Convolution, Operator, exact


def folded(graph: Graph) -> Graph:
    """Return an equivalent graph with fewer nodes. Its convolutions' weights are in channels_last."""
    uses = Counter(taken for node in graph.nodes for taken in node.inputs)
    made: dict[Node, Node] = {}
    for node in graph.nodes:
        inputs = tuple(made[taken] for taken in node.inputs)
        before = inputs[0].operator if inputs and uses[node.inputs[0]] == 1 else None
        computes = node.operator
        if isinstance(computes, Affine) and isinstance(before, Convolution):
            made[node] = replace(inputs[0], operator=_scaled(before, computes))
        else:
            made[node] = replace(node, inputs=inputs, operator=_laid(computes))
    return needed(made[graph.scores], dict.fromkeys(made.values()))


def _scaled(convolution: Convolution, affine: Affine) -> Convolution:
    factor, offset = (exact(values.flatten()) for values in (affine.factor, affine.offset))
    weight = exact(convolution.weight) * factor.view(-1, 1, 1, 1)
    bias = offset if convolution.bias is None else exact(convolution.bias) * factor + offset
    like = convolution.weight
    return replace(convolution, weight=_channels_last(weight.to(like)), bias=bias.to(like))


def _laid(computes: Operator) -> Operator:
    if not isinstance(computes, Convolution):
        return computes
    return replace(computes, weight=_channels_last(computes.weight))


def _channels_last(weight: Tensor) -> Tensor:
    return weight.contiguous(memory_format=torch.channels_last)
