"""Where a layer's output `[n, ., ., .]` has its channels: before the places, as in a convolution, or after them.

The shape does not show it, and the class of the module does not either: layer norms of both kinds exist. It follows
from how the output was computed. The axis of the channels is followed through the autograd graph, from the operators
that fix it: convolutions and pooling layers, and the images themselves. Layer norms and linear layers, which usually
act on channels, decide only where nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

from torch import nn
from torch.autograd.graph import GradientEdge

from auditor.methods.attribution.rectifiers import Node, operator

_CHANNELS_SECOND = (
    "Convolution",
    "MkldnnConvolution",
    "NativeBatchNorm",
    "CudnnBatchNorm",
    "MiopenBatchNorm",
    "NativeGroupNorm",
    "MaxPool2DWithIndices",
    "AvgPool2D",
    "AdaptiveAvgPool2D",
    "AdaptiveMaxPool2D",
    "MkldnnAdaptiveAvgPool2D",
    "UpsampleNearest2D",
    "UpsampleBilinear2D",
    "UpsampleBicubic2D",
)
_CHANNELS_USUALLY_LAST = ("NativeLayerNorm", "FusedRmsNorm", "Addmm", "Mm", "Bmm", "Linear", "MkldnnLinear")
_FIXING = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.MaxPool2d, nn.AvgPool2d)
_RESHAPE = ("View", "UnsafeView", "ReshapeAlias")

_Shape = tuple[int, ...]


class _Channels(NamedTuple):
    """The axis of the channels: its size, and how many numbers lie between neighbours on it.

    Reshaping changes neither, even where it merges the axis with others for a while, as linear layers do.
    """

    size: int
    stride: int
    certain: bool

    def axis(self, shape: _Shape) -> int | None:
        """Return the axis in a tensor of this shape; None if it is merged with others."""
        found = [a for a, size in enumerate(shape) if (size, prod(shape[a + 1 :])) == (self.size, self.stride)]
        return found[-1] if found else None


def may_show(module: nn.Module) -> bool:
    """Return whether a layer has submodules that fix where its channels are."""
    return any(isinstance(part, _FIXING) for part in module.modules())


def _channels(shape: _Shape, axis: int, *, certain: bool) -> _Channels:
    return _Channels(shape[axis], prod(shape[axis % len(shape) + 1 :]), certain)


class Arrangement:
    """Follows the axis of the channels through one autograd graph; what was found once is kept.

    Args:
        from_images: Whether the graph begins at images, `[n, c, h, w]`.
    """

    def __init__(self, *, from_images: bool = True) -> None:
        self._from_images = from_images
        self._found: dict[Node, _Channels | None] = {}

    def channels_first(self, edge: GradientEdge, *, certain: bool = False) -> bool | None:
        """Return whether an output of four axes has its channels before the places; None if nothing shows it.

        Args:
            certain: Return None where only layer norms and linear layers show it.
        """
        shape = _shape(edge.node, edge.output_nr)
        if shape is None or len(shape) != 4:
            return None
        for node in self._unknown_before(edge.node):
            self._found[node] = self._channels_of(node)
        found = self._found[edge.node]
        axis = found.axis(shape) if found and (found.certain or not certain) else None
        return axis == 1 if axis in (1, 3) else None

    def fix(self, edge: GradientEdge, *, first: bool) -> None:
        """Set where an output has its channels, if its own graph begins only here."""
        if shape := _shape(edge.node, edge.output_nr):
            self._found[edge.node] = _channels(shape, 1 if first else -1, certain=True)

    def _unknown_before(self, start: Node) -> Iterator[Node]:
        """Yield a node and all before it that are needed, each after those that it depends on."""
        waiting, entered = [start], set[Node]()
        while waiting:
            node = waiting[-1]
            if node in self._found:
                waiting.pop()
            elif node in entered:
                yield waiting.pop()
            else:
                entered.add(node)
                if not self._fixes(node):
                    waiting += [before for before, _ in node.next_functions if before is not None]

    def _fixes(self, node: Node) -> bool:
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            return self._from_images and not isinstance(leaf, nn.Parameter) and leaf.ndim == 4
        return operator(node) in _CHANNELS_SECOND

    def _channels_of(self, node: Node) -> _Channels | None:
        shape = _shape(node, 0)
        if not shape:
            return None
        if self._fixes(node):
            return _channels(shape, 1, certain=True) if len(shape) > 1 else None
        likely = None
        for before, number in node.next_functions:
            if before is None or (found := self._found.get(before)) is None:
                continue
            moved = _moved(node, _shape(before, number) or (), shape, found)
            if moved and moved.certain:
                return moved
            likely = likely or moved
        return _channels(shape, -1, certain=False) if operator(node) in _CHANNELS_USUALLY_LAST else likely


def _moved(node: Node, before: _Shape, after: _Shape, found: _Channels) -> _Channels | None:
    """Return where a node's output has the channels of one of its inputs; None if the operator loses them."""
    if operator(node) in _RESHAPE or (before == after and operator(node) not in ("Permute", "Transpose")):
        return found
    axis = found.axis(before)
    if axis is None:
        is_linear = before[:-1] == after[:-1] and found.stride % before[-1] == 0
        return found._replace(stride=found.stride // before[-1] * after[-1]) if is_linear else None
    moved = _axis_after(node, before, after, axis)
    return None if moved is None else _channels(after, moved, certain=found.certain)


def _axis_after(node: Node, before: _Shape, after: _Shape, axis: int) -> int | None:
    if operator(node) == "Permute":
        return [dim % len(before) for dim in _saved(node, "dims")].index(axis)
    if operator(node) == "Transpose":
        a, b = (_signed(_saved(node, name)) % len(before) for name in ("dim0", "dim1"))
        return {a: b, b: a}.get(axis, axis)
    return axis if len(before) == len(after) else None


def _shape(node: Node, number: int) -> _Shape | None:
    found = getattr(node, "_input_metadata", ())
    return tuple(found[number].shape) if number < len(found) else None


def _saved(node: Node, name: str) -> Any:
    return getattr(node, f"_saved_{name}")


def _signed(axis: int) -> int:
    return axis - 2**64 if axis >= 2**63 else axis
