"""The layers of a network in the order in which they run, found by running it once.

A *layer* is a module that gave a tensor and has parameters of its own, or no children. Whether a
rectifier follows is read from the operators that ran, so that a functional or a reused ReLU counts
like any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auditor.errors import UsageError, did_you_mean
from auditor.model.opaque import is_opaque
from auditor.process.dispatch import Operators
from auditor.results import FieldFacts, LayerFacts

_aten = torch.ops.aten
_RELU = {_aten.relu.default, _aten.relu_.default}
_CLAMP = (("min", None), ("max", None))
_HARDTANH = (("min_val", -1), ("max_val", 1))
_BOUNDS = {
    _aten.clamp.default: _CLAMP,
    _aten.clamp_.default: _CLAMP,
    _aten.clamp_min.default: _CLAMP,
    _aten.clamp_min_.default: _CLAMP,
    _aten.hardtanh.default: _HARDTANH,
    _aten.hardtanh_.default: _HARDTANH,
}

# Below these inputs the output is less than the rounding error of 1 in single precision; of a hard swish it is 0.
_FLOORS = {
    _aten.gelu.default: -6.0,
    _aten.silu.default: -20.0,
    _aten.silu_.default: -20.0,
    _aten.mish.default: -20.0,
    _aten.mish_.default: -20.0,
    _aten.hardswish.default: -3.0,
    _aten.hardswish_.default: -3.0,
}

_GATES = {_aten.sigmoid.default, _aten.sigmoid_.default, _aten.hardsigmoid.default, _aten.hardsigmoid_.default}

_NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.LocalResponseNorm,
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer.

    Attributes:
        output: The shape of its output, without the batch dimension; if it runs several times, of the last run.
        parameters: The number of its own parameters.
        tap: The module to observe for the layer's output: the normalisation that follows it directly, if
            there is one, otherwise the layer itself.
        rectified: A ReLU, ReLU6 or clamp at zero follows the tap, or is part of it. A channel is inactive
            where the tap's output is not above zero.
        ceiling: The largest output of that rectifier: 6 for a ReLU6.
        floor: Up to this input the activation after the tap gives zero: 0 for a rectifier, less for GELU and others.
        gate: A sigmoid follows before any other layer.
        batched: It gives an output for each image. False for a module whose output is the same for all images,
            such as one that computes position biases.
        runs: How often it runs in one forward pass.
    """

    name: str
    type: str
    output: tuple[int, ...]
    parameters: int
    tap: str
    rectified: bool = False
    ceiling: float = math.inf
    floor: float = -math.inf
    gate: bool = False
    batched: bool = True
    runs: int = 1

    def rectify(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the tap's outputs after the rectifier, if one follows; values that are not finite stay unchanged."""
        return np.where(np.isfinite(values), values.clip(0, self.ceiling), values) if self.rectified else values

    @property
    def channels(self) -> int:
        """The number of channels of its output; the units of a linear layer are the last dimension."""
        return self.output[-1 if self.linear else 0]

    @property
    def linear(self) -> bool:
        """Whether it is a linear layer."""
        return self.type.endswith("Linear")

    @property
    def whole(self) -> bool:
        """Whether it is a linear layer whose units give one number for each image."""
        return self.linear and math.prod(self.output[:-1]) == 1

    @property
    def spatial(self) -> bool:
        """Whether the output is a stack of maps, `[c, h, w]`, of more than one pixel, for each image."""
        maps = "Conv" in self.type and len(self.output) == 3 and self.output[1] * self.output[2] > 1
        return maps and self.batched

    @property
    def normalises_several(self) -> bool:
        """Whether it normalises maps of several layers, and an activation with a floor follows."""
        return "Norm" in self.type and len(self.output) == 3 and math.isfinite(self.floor) and self.batched

    def facts(self, field: FieldFacts | None = None) -> LayerFacts:
        """Return what an audit records about the layer."""
        return LayerFacts(self.name, self.type, self.output, self.parameters, field)


class LayerTable(Sequence[Layer]):
    """The layers of one network, in execution order."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(layers)
        self._by_name = {layer.name: layer for layer in self._layers}

    def __getitem__(self, key: Any) -> Any:
        return self._by_name[key] if isinstance(key, str) else self._layers[key]

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers)

    def select(self, chosen: str | Sequence[str], *, count: int = 5) -> tuple[Layer, ...]:
        """Return the chosen layers, in execution order; all of them give maps.

        Args:
            chosen: `"spread"` takes `count` layers of `maps` from the first to the last; `"all"` takes every
                layer that gives maps, rectified or not; otherwise the names of layers.
            count: The largest number of layers in a spread.

        Raises:
            UsageError: The network has no layer of a name, or the layer gives no maps.
        """
        if chosen == "all":
            return tuple(layer for layer in self._layers if layer.spatial)
        if chosen == "spread":
            return _spread(self.maps, count)
        names = [chosen] if isinstance(chosen, str) else list(chosen)
        for name in names:
            if name not in self._by_name:
                raise UsageError(f"the network has no layer {name!r}{did_you_mean(name, self._by_name)}")
            if len(self._by_name[name].output) != 3:
                shape = self._by_name[name].output
                raise UsageError(
                    f"layer {name!r} gives {shape}; choose a layer that gives maps: channels, rows, columns"
                )
            if not self._by_name[name].batched:
                raise UsageError(f"layer {name!r} does not give one output for each image; choose another layer")
        return tuple(layer for layer in self._layers if layer.name in names)

    @property
    def maps(self) -> tuple[Layer, ...]:
        """The layers that give maps; if any of them is rectified, only those before an activation with a floor."""
        spatial = [layer for layer in self._layers if layer.spatial]
        if not any(layer.rectified for layer in spatial):
            return tuple(spatial)
        return tuple(layer for layer in spatial if math.isfinite(layer.floor))

    @property
    def judged(self) -> tuple[Layer, ...]:
        """The layers whose channels are judged: `maps`, `hidden`, and normalisations of sums or stacks of layers."""
        alone = [layer for layer in self._layers if layer.normalises_several]
        every = {*self.maps, *self.hidden, *alone}
        return tuple(layer for layer in self._layers if layer in every)

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """The linear layers before an activation with a floor, without those that only weight the channels of maps.

        In such a squeeze-and-excitation block a few units serve many channels; a sigmoid or layers of maps follow.
        """
        linear = [layer for layer in self._layers if layer.linear]
        last = max((place for place, layer in enumerate(self._layers) if layer.spatial), default=-1)
        later = self._layers[last + 1 :]
        return tuple(
            layer
            for layer, following in zip(linear, [*linear, None][1:], strict=True)
            if math.isfinite(layer.floor)
            and layer.batched
            and (not layer.whole or layer in later)
            and not (following and following.gate and following is not linear[-1])
        )


def _spread(layers: Sequence[Layer], count: int) -> tuple[Layer, ...]:
    if len(layers) <= count:
        return tuple(layers)
    places = {round(i * (len(layers) - 1) / (count - 1)) for i in range(count)} if count > 1 else {len(layers) - 1}
    return tuple(layers[i] for i in sorted(places))


def trace(module: nn.Module, example: Tensor) -> LayerTable:
    """Run the network once on `example` (`[n, c, h, w]`) and return its layers.

    Whether a layer gives an output for each image can be seen only with several images. The layers of TorchScript
    and exported programs can't be observed: their table is empty.
    """
    if is_opaque(module):
        return LayerTable([])
    tracer = _Tracer(len(example))
    handles = [
        submodule.register_forward_hook(tracer.observing(name))
        for name, submodule in module.named_modules()
        if name and _is_layer(submodule)
    ]
    try:
        with torch.no_grad(), tracer:
            module(example)
    finally:
        for handle in handles:
            handle.remove()
    return LayerTable(list(tracer.layers.values()))


def _is_layer(module: nn.Module) -> bool:
    has_children = next(module.children(), None) is not None
    return not has_children or next(module.parameters(recurse=False), None) is not None


_Moment = tuple[int, int]  # a tensor's identity, and how often it was written to in place


def _moment(tensor: Tensor) -> _Moment:
    """Return when a tensor has its values; tensors of inference mode do not count how often they were written to."""
    return id(tensor), 0 if tensor.is_inference() else tensor._version


class _Tracer(Operators):
    """Follows each tensor from the module that gives it to the rectifier that takes it."""

    def __init__(self, images: int) -> None:
        super().__init__()
        self._images = images
        self._latest = ""  # the layer that ran last
        self.layers: dict[str, Layer] = {}
        self._maker: dict[_Moment, str] = {}  # the layer that gave a tensor
        self._ceilings: dict[_Moment, float] = {}  # of tensors that a rectifier gave
        self._alive: list[Tensor] = []  # an id is unique only while its object is alive

    def observing(self, name: str) -> Any:
        def observe(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if isinstance(output, Tensor):
                self._record(name, module, inputs, output)

        return observe

    def _record(self, name: str, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        self._alive.append(output)
        own = sum(p.numel() for p in module.parameters(recurse=False))
        batched = output.ndim > 0 and len(output) == self._images
        new = Layer(name, type(module).__name__, tuple(output.shape[1:]), own, name, batched=batched, runs=0)
        known = self.layers.get(name, new)
        self.layers[name] = replace(known, output=new.output, runs=known.runs + 1)
        maker = name
        if inputs and isinstance(inputs[0], Tensor) and inputs[0] is output:  # an identity, or dropout in eval
            maker = self._maker.get(_moment(output), name)
        elif isinstance(module, _NORMS) and inputs and _moment(inputs[0]) in self._maker:
            maker = self._maker[_moment(inputs[0])]
            self.layers[maker] = replace(self.layers[maker], tap=name)
        self._maker[_moment(output)] = maker
        self._latest = maker
        if _moment(output) in self._ceilings:
            self._mark(maker, self._ceilings[_moment(output)])

    def _mark(self, name: str, ceiling: float) -> None:
        self.layers[name] = replace(self.layers[name], rectified=True, ceiling=ceiling, floor=0.0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _FLOORS and (maker := self._maker.get(_moment(args[0]))):
            self.layers[maker] = replace(self.layers[maker], floor=_FLOORS[func])
        if func in _GATES and self._latest:
            self.layers[self._latest] = replace(self.layers[self._latest], gate=True)
        if (ceiling := ceiling_of(func, args, kwargs)) is None:
            return func(*args, **kwargs)
        taken = _moment(args[0])
        output = func(*args, **kwargs)
        self._alive.append(output)
        # The version of a tensor written in place is counted up only after this returns.
        written = output is args[0] and not output.is_inference()
        self._ceilings[(taken[0], taken[1] + 1) if written else _moment(output)] = ceiling
        if taken in self._maker:
            self._mark(self._maker[taken], ceiling)
        return output


def ceiling_of(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float | None:
    """Return the upper bound of an ATen call that clamps at zero from below, infinity without one; else None."""
    if func in _RELU:
        return math.inf
    bounds = _BOUNDS.get(func)
    if bounds is None:
        return None
    low, high = (
        args[place] if len(args) > place else kwargs.get(name, usual)
        for place, (name, usual) in enumerate(bounds, start=1)
    )
    if not isinstance(low, int | float) or low != 0:
        return None
    return float(high) if isinstance(high, int | float) else math.inf
