"""Whether a layer's output has channels before places, like a convolution's, or after them, like a layer norm's."""

from __future__ import annotations

from torch import nn

from auditor.methods.attribution.rectifiers import Node, is_rectifier, operator

_GIVE_CHANNELS_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.MaxPool2d)
_CHANNELS_FIRST = (
    "Convolution",
    "NativeBatchNorm",
    "CudnnBatchNorm",
    "NativeGroupNorm",
    "MaxPool2DWithIndices",
    "AvgPool2D",
)
_CHANNELS_LAST = ("NativeLayerNorm", "Addmm", "Mm")
_FOLLOWED = ("Add", "Clone", "Mul", "Div", "View", "UnsafeView", "ReshapeAlias")


def arrangement(module: nn.Module) -> bool | None:
    """Return whether a layer's output has channels first, judged by its submodules; None if they do not show it."""
    first = any(isinstance(part, _GIVE_CHANNELS_FIRST) for part in module.modules())
    last = any(isinstance(part, nn.LayerNorm | nn.Linear) for part in module.modules())
    return None if first == last else first


def arrangement_before(start: Node) -> bool | None:
    """Return whether a tensor has channels first, judged by the operators that made it; None if they do not show it."""
    node: Node | None = start
    while node is not None:
        name = operator(node)
        if name in (*_CHANNELS_FIRST, *_CHANNELS_LAST):
            return name in _CHANNELS_FIRST
        if name not in _FOLLOWED and not is_rectifier(node):
            return None
        node = next((before for before, _ in node.next_functions if before is not None), None)
    return None
