"""Infer the architecture of a checkpoint from the names and shapes of its tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from auditor.errors import ArchitectureError
from auditor.language import _
from auditor.model.architectures import builders, naming
from auditor.model.architectures.adaptation import Adaptation, adaptation, ambiguous
from auditor.model.architectures.builders import Builder
from auditor.model.architectures.resemblance import resemblance
from auditor.process.torchvision import torchvision

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_DRAWN = {"normal_", "uniform_", "kaiming_normal_", "kaiming_uniform_", "trunc_normal_", "zero_", "fill_"}
_NEAR = 0.2  # share of the names that may differ in a network that is named as the nearest
_ALIKE = 0.6  # share of the names that may differ in a network whose head or first layer may have been changed
AUXILIARY = {"googlenet": "aux1.", "inception_v3": "AuxLogits."}


@dataclass(frozen=True)
class Match:
    """How well the network of a builder matches a checkpoint.

    Attributes:
        arguments: The builder's arguments, as inferred from the checkpoint's tensors.
        differing: The number of names that only one of the two has, or that have different shapes.
        elements: The number of elements of all tensors of the network.
        names: The number of tensors of the network.
        keys: The names that differ.
        adapted: What was changed in the network so that the tensors fit.
        ambiguous: What the tensors do not tell, where the network fits up to its head or its first layer.
    """

    builder: Builder
    arguments: Mapping[str, Any] = field(default_factory=dict)
    differing: int = 0
    elements: int = 0
    names: int = 0
    keys: tuple[str, ...] = ()
    adapted: Adaptation = field(default_factory=Adaptation)
    ambiguous: str = ""

    def near(self, tensors: int) -> bool:
        """Whether few enough names differ for the network to be a help to name."""
        return self.differing <= _NEAR * tensors


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
    raise ArchitectureError(_none_fits(tried, tensors))


def suggestion(tensors: Mapping[str, Tensor], *, prefix: str = "") -> str:
    """Return the network whose tensors these are, for advice; empty if none is known."""
    try:
        return _("Its tensors are those of {name}: --arch {name}.", name=infer(tensors, prefix=prefix).builder.name)
    except ArchitectureError:
        alike = resemblance(tensors)
        return _("Its names look like {kind}.", kind=alike) if alike else ""


def _none_fits(tried: list[Match], tensors: Mapping[str, Tensor]) -> str:
    """Return what the tensors are, where no network has all of them."""
    near = sorted((m for m in tried if m.near(len(tensors))), key=lambda m: m.differing)[:3]
    partly = next((m for m in sorted(tried, key=lambda m: m.differing) if m.ambiguous), None)
    if partly is not None:
        return (
            f"the checkpoint's tensors are those of {partly.builder.name}, but {partly.ambiguous}: give the network of "
            "training with --arch path/to/file.py:callable"
        )
    what = f"no torchvision network has the checkpoint's {len(tensors)} tensors"
    names = ", ".join(f"{m.builder.name} ({_keys(m)})" for m in near)
    alike = resemblance(tensors)
    found = f"nearest: {names}" if names else f"none of the {len(tried)} is near"
    found += f", its names look like {alike}" if alike and not names else ""
    return f"{what}; {found}; name the network with --arch: {builders.FORMS}"


def compare(
    builder: Builder, tensors: Mapping[str, Tensor], *, prefix: str = "", given: Mapping[str, Any] | None = None
) -> Match:
    """Compare a builder of torchvision or timm with a checkpoint; the arguments in `given` are not changed."""
    given = dict(given or {})
    arguments = _auxiliary(builder, tensors) | given
    module = _weightless(builder, arguments)
    plain = _compared(builder, module, tensors, prefix, arguments, given)
    if not plain.differing or plain.differing > _ALIKE * max(len(tensors), plain.names):
        return plain
    return _adapted(plain, module, tensors, prefix, given)


def _adapted(
    plain: Match, module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, given: Mapping[str, Any]
) -> Match:
    """Return the match of the network with the changes that the tensors show, if it is better than without."""
    own = naming.shapes(module.state_dict())
    names = naming.fitted(tensors, own, prefix=prefix)
    change = adaptation(module, plain.builder.library, own, names)
    unsure = replace(plain, ambiguous=ambiguous(module, own, _resized(own, names, plain.arguments)))
    if not change.words or change.arguments.keys() & given.keys():
        return unsure
    builder = replace(plain.builder, changes=change.changes)
    try:
        other = _weightless(builder, {**plain.arguments, **change.arguments})
    except ArchitectureError:  # a network without such an argument
        return unsure
    found = _compared(builder, other, tensors, prefix, {**plain.arguments, **change.arguments}, given)
    if found.differing >= plain.differing:
        return unsure
    own = naming.shapes(other.state_dict())
    names = naming.fitted(tensors, own, prefix=prefix)
    unclear = ambiguous(other, own, _resized(own, names, found.arguments)) if found.differing else ""
    return replace(found, adapted=change, ambiguous=unclear)


def _resized(own: naming.Shapes, names: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors without those that only differ in the number of classes."""
    classes = arguments.get("num_classes")
    head = {k for k, t in names.items() if k in own and t.shape[:1] == (classes,) and own[k][1:] == tuple(t.shape)[1:]}
    return {key: tensor.new_empty(own[key], device="meta") if key in head else tensor for key, tensor in names.items()}


def _compared(
    builder: Builder,
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    prefix: str,
    arguments: Mapping[str, Any],
    given: Mapping[str, Any],
) -> Match:
    own = naming.shapes(module.state_dict())
    names = naming.fitted(naming.without_values(tensors), own, prefix=prefix)
    classes = None if "num_classes" in given else _classes(module, own, names)
    if classes is not None:
        arguments = {**arguments, "num_classes": classes}
    elements = sum(math.prod(shape) for shape in own.values())
    keys = _differing(module, own, names, classes)
    return Match(builder, arguments, len(keys), elements, len(own), tuple(sorted(keys)))


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


def _differing(module: nn.Module, own: naming.Shapes, tensors: Mapping[str, Tensor], classes: int | None) -> set[str]:
    default = getattr(module, "num_classes", 1000)

    def fits(key: str) -> bool:
        shape = tuple(tensors[key].shape)
        resized = classes is not None and shape == (classes, *own[key][1:]) and own[key][:1] == (default,)
        return shape == own[key] or resized

    counted = _counters(module.state_dict())
    counted |= {name for name, others in naming.tied(module).items() if others & tensors.keys()}
    shared = own.keys() & tensors.keys()
    apart = (own.keys() ^ tensors.keys()) - counted
    return apart | {key for key in shared if not fits(key)}


def _counters(state: Mapping[str, object]) -> set[str]:
    return {key for key, value in state.items() if isinstance(value, Tensor) and naming.is_constant(value)}


def _keys(match: Match) -> str:
    shown = ", ".join(match.keys[:3]) + (", ..." if match.differing > 3 else "")
    return f"{match.differing} key{'s' * (match.differing > 1)} differ{'s' * (match.differing == 1)}: {shown}"
