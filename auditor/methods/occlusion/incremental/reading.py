"""Translation of the operators of an exported program (ATen) to those with a rule for rectangles."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from auditor.methods.occlusion.incremental.graph import Node
from auditor.methods.occlusion.incremental.operators import (
    Affine,
    AveragePool,
    Concatenation,
    Convolution,
    MaxPool,
    Number,
    Operator,
    Padding,
    Pair,
    Placewise,
    exact,
)

_aten = torch.ops.aten
_CONVOLUTIONS = (_aten.conv2d.default, _aten.conv2d.padding)
_SAME = (_aten.clone.default, _aten.alias.default, _aten.detach.default, _aten.contiguous.default)
_UNTAGGED = (_aten.hardswish.default, _aten.log_sigmoid.default)  # pointwise, without torch's tag
_ANY_STRIDE = {_aten.view.default: _aten.reshape.default, _aten._unsafe_view.default: _aten.reshape.default}


@dataclass(frozen=True, eq=False)
class Arguments:
    """The arguments of an operator: nodes, tensors of the network, numbers."""

    target: Callable[..., Any]
    positional: tuple[Any, ...]
    named: Mapping[str, Any]

    @classmethod
    def of(cls, node: fx.Node, value: Callable[[Any], Any]) -> Arguments:
        """Read the arguments; `value` returns the value of each."""

        def read(argument: Any) -> Any:
            return [read(one) for one in argument] if isinstance(argument, list | tuple) else value(argument)

        positional = tuple(read(argument) for argument in node.args)
        called: Any = node.target
        return cls(
            _ANY_STRIDE.get(called, called),
            positional,
            {name: read(argument) for name, argument in node.kwargs.items()},
        )

    def by_name(self) -> dict[str, Any]:
        """Return all arguments by their names in the operator's schema, including defaults."""
        schema = self.target._schema.arguments  # type: ignore[attr-defined]
        found = {one.name: one.default_value for one in schema if one.has_default_value()}
        found.update(zip((one.name for one in schema), self.positional, strict=False))
        return {**found, **self.named}

    @property
    def nodes(self) -> list[Node]:
        return list(dict.fromkeys(value for value in self._flat() if isinstance(value, Node)))

    @property
    def numbers(self) -> bool:
        """Whether an argument depends on the number of images."""
        return any(isinstance(value, Number) for value in self._flat())

    @property
    def weights(self) -> int:
        """Number of multiplications for one place of the output."""
        weight = self.by_name().get("weight") if self.target in (*_CONVOLUTIONS, _aten.linear.default) else None
        if not isinstance(weight, Tensor):
            return 0
        return weight.numel() if weight.ndim == 4 else weight.shape[1]

    def _flat(self) -> Iterator[Any]:
        for value in (*self.positional, *self.named.values()):
            yield from value if isinstance(value, list) else (value,)


def operator_of(node: fx.Node, arguments: Arguments) -> Operator | Node | None:
    """Return the equivalent operator with a rule, the input itself if the operator does nothing, or None."""
    target = arguments.target
    if read := _READERS.get(target):
        return read(arguments.by_name(), node.meta["val"])
    if target in _SAME:
        return arguments.nodes[0]
    if target in _UNTAGGED or torch.Tag.pointwise in getattr(target, "tags", ()):
        return _placewise(node, arguments)
    return None


def _convolution(by: Mapping[str, Any], output: Tensor) -> Operator | None:
    weight, bias = by["weight"], by["bias"]
    if not isinstance(weight, Tensor) or not isinstance(by["input"], Node) or isinstance(bias, Node):
        return None
    height, width = weight.shape[2:]
    stride, dilation, around = _pair(by["stride"]), _pair(by["dilation"]), by["padding"]
    if around == "same":  # an odd remainder goes to the end
        padding = dilation[0] * (height - 1) // 2, dilation[1] * (width - 1) // 2
    else:
        padding = around = (0, 0) if around == "valid" else _pair(around)
    return Convolution((height, width), stride, padding, dilation, 0.0, weight, bias, by["groups"], around)


def _max_pool(by: Mapping[str, Any], output: Tensor) -> Operator:
    kernel = _pair(by["kernel_size"])
    stride, padding, dilation = _pair(by["stride"] or kernel), _pair(by["padding"]), _pair(by["dilation"])
    return MaxPool(kernel, stride, padding, dilation, -math.inf, by["ceil_mode"])


def _average_pool(by: Mapping[str, Any], output: Tensor) -> Operator | None:
    kernel = _pair(by["kernel_size"])
    stride, padding = _pair(by["stride"] or kernel), _pair(by["padding"])
    uneven = by["ceil_mode"] or (any(padding) and not by["count_include_pad"])  # not all windows have the same divisor
    if uneven or by["divisor_override"]:
        return None
    return AveragePool(kernel, stride, padding, (1, 1), 0.0)


def _adaptive_pool(by: Mapping[str, Any], output: Tensor) -> Operator | Node | None:
    maps = by["self"]
    if maps.grid is None:
        return None
    (height, width), (rows, cols) = maps.grid, output.shape[-2:]
    if (height, width) == (rows, cols):
        return maps  # type: ignore[no-any-return]
    if height % rows or width % cols:
        return None
    kernel = (height // rows, width // cols)
    return AveragePool(kernel, kernel, (0, 0), (1, 1), 0.0)


def _padding(by: Mapping[str, Any], output: Tensor) -> Operator | None:
    widths = by["pad"]
    if by.get("mode", "constant") != "constant" or len(widths) != 4 or min(widths) < 0:
        return None
    left, right, top, bottom = widths
    return Padding((left, right, top, bottom), float(by["value"] or 0))


def _dropout(by: Mapping[str, Any], output: Tensor) -> Node | None:
    return None if by["train"] else by["input"]


def _concatenation(by: Mapping[str, Any], output: Tensor) -> Operator | None:
    parts = by["tensors"]
    if by["dim"] not in (1, -3) or not all(isinstance(one, Node) and one.grid for one in parts):
        return None
    nodes = list(dict.fromkeys(parts))
    return Concatenation(tuple(nodes.index(one) for one in parts))


def _batch_norm(by: Mapping[str, Any], output: Any) -> Operator | None:
    if output[0].ndim != 4 or not isinstance(by["running_mean"], Tensor):
        return None
    mean, deviation = exact(by["running_mean"]), (exact(by["running_var"]) + by["eps"]).sqrt()
    factor = (1.0 if by["weight"] is None else exact(by["weight"])) / deviation
    offset = (0.0 if by["bias"] is None else exact(by["bias"])) - mean * factor
    place = {"device": by["running_mean"].device, "dtype": output[0].dtype}
    return Affine(factor.to(**place).view(1, -1, 1, 1), offset.to(**place).view(1, -1, 1, 1))


def _placewise(node: fx.Node, arguments: Arguments) -> Placewise | None:
    """Return an activation, or a sum or product of maps with maps of the same size or with numbers."""
    nodes, output = arguments.nodes, node.meta["val"]
    if not isinstance(output, Tensor) or output.ndim != 4:
        return None
    held = [value for value in arguments._flat() if isinstance(value, Tensor)]
    if any(one.shape != tuple(output.shape[1:]) for one in nodes) or not all(map(_has_no_places, held)):
        return None
    over = _in_place(arguments, nodes) if _keeps_type(node) else None
    return Placewise(_bound(arguments.target, arguments, nodes), over)


def _keeps_type(node: fx.Node) -> bool:
    """Return whether the output fits into the memory of the first input."""
    first = node.args[0] if node.args else None
    value = first.meta.get("val") if isinstance(first, fx.Node) else None
    return isinstance(value, Tensor) and value.dtype == node.meta["val"].dtype


def _has_no_places(held: Tensor) -> bool:
    """Return whether a tensor of the network is the same for every place of a map."""
    return held.ndim <= 4 and all(size == 1 for size in held.shape[-2:]) and (held.ndim < 4 or held.shape[0] == 1)


def _in_place(arguments: Arguments, nodes: list[Node]) -> Callable[[Sequence[Tensor]], Tensor] | None:
    target: Any = arguments.target
    packet = getattr(_aten, f"{target.overloadpacket.__name__}_", None)
    over = getattr(packet, target._overloadname, None)
    if over is None or arguments.positional[0] is not nodes[0]:
        return None
    return _bound(over, arguments, nodes)


def _bound(target: Callable[..., Any], arguments: Arguments, nodes: list[Node]) -> Callable[[Sequence[Tensor]], Tensor]:
    places = [nodes.index(one) if isinstance(one, Node) else None for one in arguments.positional]

    def call(inputs: Sequence[Tensor]) -> Tensor:
        given = zip(places, arguments.positional, strict=True)
        values = (held if place is None else inputs[place] for place, held in given)
        return target(*values, **arguments.named)  # type: ignore[no-any-return]

    return call


def _pair(value: int | Sequence[int]) -> Pair:
    first, *rest = value if isinstance(value, Sequence) else (value,)
    return first, rest[0] if rest else first


_READERS: dict[Any, Callable[[Mapping[str, Any], Any], Operator | Node | None]] = {
    **dict.fromkeys(_CONVOLUTIONS, _convolution),
    _aten.max_pool2d.default: _max_pool,
    _aten.avg_pool2d.default: _average_pool,
    _aten.adaptive_avg_pool2d.default: _adaptive_pool,
    _aten.pad.default: _padding,
    _aten.constant_pad_nd.default: _padding,
    _aten.dropout.default: _dropout,
    _aten._native_batch_norm_legit_no_training.default: _batch_norm,
    _aten.cat.default: _concatenation,
}
