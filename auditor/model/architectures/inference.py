"""Infer the architecture of a checkpoint from the names and shapes of its tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from auditor.errors import ArchitectureError
from auditor.model.architectures import builders, naming
from auditor.model.architectures.builders import Builder
from auditor.process.torchvision import torchvision

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_DRAWN = {"normal_", "uniform_", "kaiming_normal_", "kaiming_uniform_", "trunc_normal_", "zero_", "fill_"}
AUXILIARY = {"googlenet": "aux1.", "inception_v3": "AuxLogits."}


@dataclass(frozen=True)
class Match:
    """How well the network of a builder matches a checkpoint.

    Attributes:
        arguments: The builder's arguments, as inferred from the checkpoint's tensors.
        differing: The number of names that only one of the two has, or that have different shapes.
        elements: The number of elements of all tensors of the network.
    """

    builder: Builder
    arguments: Mapping[str, Any] = field(default_factory=dict)
    differing: int = 0
    elements: int = 0


class Weightless(TorchFunctionMode):
    """Create parameters without memory and without initialisation inside the block.

    `torch.device("meta")` would also remove the numbers with which RegNet's constructor computes.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        target = args[0] if args else kwargs.get("tensor")
        if getattr(func, "__name__", "") in _DRAWN and isinstance(target, Tensor) and target.is_meta:
            return target
        if func is torch.empty:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def infer(tensors: Mapping[str, Tensor], *, prefix: str = "") -> Match:
    """Return the torchvision network with the checkpoint's names and shapes, up to the number of classes.

    Raises:
        ArchitectureError: None fits; the message lists the three nearest.
    """
    tried = []
    for name in _by_size(tensors):
        match = compare(builders.torchvision_builder(name), tensors, prefix=prefix)
        if not match.differing:
            return match
        tried.append(match)
    nearest = sorted(tried, key=lambda m: m.differing)[:3]
    names = ", ".join(f"{m.builder.name} ({_keys(m.differing)})" for m in nearest)
    raise ArchitectureError(
        f"no torchvision network has the checkpoint's {len(tensors)} tensors; nearest: {names}; "
        f"name the network with --arch: {builders.FORMS}"
    )


def compare(
    builder: Builder, tensors: Mapping[str, Tensor], *, prefix: str = "", given: Mapping[str, Any] | None = None
) -> Match:
    """Compare a builder of torchvision or timm with a checkpoint; the arguments in `given` are not changed."""
    given = dict(given or {})
    arguments = _auxiliary(builder, tensors) | given
    module = _weightless(builder, arguments)
    own = naming.shapes(module.state_dict())
    names = naming.fitted(naming.without_values(tensors), own, prefix=prefix)
    classes = None if "num_classes" in given else _classes(module, own, names)
    if classes is not None:
        arguments["num_classes"] = classes
    elements = sum(math.prod(shape) for shape in own.values())
    return Match(builder, arguments, _differing(module, own, names, classes), elements)


def _weightless(builder: Builder, arguments: Mapping[str, Any]) -> nn.Module:
    try:
        with Weightless():
            return builder(arguments)
    except ArchitectureError:
        return builder(arguments)  # a constructor that needs the values of its weights, or a real error


def _by_size(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return torchvision's networks, the nearest in size to the checkpoint first; another head is accounted for."""
    size = max(1, _size(tensors))

    def distance(name: str) -> float:
        weights = next(iter(torchvision.models.get_model_weights(name)))
        return abs(math.log(weights.meta["num_params"] / size))

    return sorted(builders.torchvision_names(), key=distance)


def _size(tensors: Mapping[str, Tensor]) -> int:
    parameters = {k: t for k, t in tensors.items() if t.is_floating_point() and not k.endswith(_STATISTICS)}
    size = sum(t.numel() for t in parameters.values())
    head = next((t for t in reversed(parameters.values()) if t.dim() >= 2 and len(t)), None)
    if head is None:
        return size
    return size + (1000 - len(head)) * (head[0].numel() + 1)


def _auxiliary(builder: Builder, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    if builder.library != "torchvision" or builder.name not in AUXILIARY:
        return {}
    return {"aux_logits": any(f".{AUXILIARY[builder.name]}" in f".{key}" for key in tensors)}


def _classes(module: nn.Module, own: naming.Shapes, tensors: Mapping[str, Tensor]) -> int | None:
    """Return the number of classes with which every tensor of the head fits, None if there is none."""
    default = getattr(module, "num_classes", 1000)
    found = {len(t) for key, t in tensors.items() if _differs_in_rows(own.get(key), t, default)}
    return found.pop() if len(found) == 1 else None


def _differs_in_rows(own: tuple[int, ...] | None, tensor: Tensor, rows: int) -> bool:
    shape = tuple(tensor.shape)
    return bool(own and shape and own[0] == rows and own[1:] == shape[1:] and own[0] != shape[0])


def _differing(module: nn.Module, own: naming.Shapes, tensors: Mapping[str, Tensor], classes: int | None) -> int:
    default = getattr(module, "num_classes", 1000)

    def fits(key: str) -> bool:
        shape = tuple(tensors[key].shape)
        resized = classes is not None and shape == (classes, *own[key][1:]) and own[key][:1] == (default,)
        return shape == own[key] or resized

    counted = _counters(module.state_dict())
    counted |= {name for name, others in naming.tied(module).items() if others & tensors.keys()}
    shared = own.keys() & tensors.keys()
    apart = (own.keys() ^ tensors.keys()) - counted
    return len(apart) + sum(not fits(key) for key in shared)


def _counters(state: Mapping[str, object]) -> set[str]:
    return {key for key, value in state.items() if isinstance(value, Tensor) and naming.is_constant(value)}


def _keys(count: int) -> str:
    return f"{count} key differs" if count == 1 else f"{count} keys differ"
