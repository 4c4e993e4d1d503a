"""What people change in a known network before they train it: the first layer, the head, the size of the image.

A change is made only where the tensors leave one possibility. Layers without parameters leave no trace in a file, so
that a head of several layers, or a first layer of another kernel, is told and not guessed.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from auditor.language import _, many
from auditor.model.architectures.naming import Shapes

Change = Callable[[nn.Module], None]


@dataclass(frozen=True)
class Adaptation:
    """The changes of a network with which a checkpoint fits better.

    Attributes:
        arguments: Those of the builder.
        changes: Functions that change the network in place.
        words: What was changed, in words.
        channels: The number of channels of an image, if it was changed.
        side: The rows and columns of an image, if they were changed.
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    words: tuple[str, ...] = ()
    channels: int = 0
    side: int = 0


def adaptation(module: nn.Module, library: str, own: Shapes, tensors: Mapping[str, Tensor]) -> Adaptation:
    """Return the changes of a network of a library with which the tensors fit."""
    arguments: dict[str, Any] = {}
    changes: list[Change] = []
    words: list[str] = []
    channels, side = _channels(module, own, tensors), _side(module, own, tensors)
    if channels and library == "timm":
        arguments["in_chans"] = channels
    elif channels:
        changes.append(_first_layer(channels))
    if channels:
        words.append(many("first layer of {count} channel", "first layer of {count} channels", channels))
    if side:
        arguments["img_size" if library == "timm" else "image_size"] = side
        words.append(_("images of {side}x{side}", side=side))
    if (head := _head(module, own, tensors)) is not None:
        changes.append(head.put)
        arguments["num_classes"] = head.classes
        words.append(_("head {place}", place=head.place))
    return Adaptation(arguments, tuple(changes), tuple(words), channels, side)


def ambiguous(module: nn.Module, own: Shapes, tensors: Mapping[str, Tensor]) -> str:
    """Return what else than the tensors is needed, where a network fits up to its head or its first layer."""
    misshaped = [key for key in own.keys() & tensors.keys() if own[key] != tuple(tensors[key].shape)]
    apart = own.keys() ^ tensors.keys()
    first = f"{_first(module)}.weight"
    if misshaped == [first] and not apart:
        has, expects = _times(tuple(tensors[first].shape)), _times(own[first])
        return (
            f"its first layer is changed: {first} is {has} instead of {expects}. Its stride and padding, and whether "
            "the pooling after it was kept, leave no trace in the file"
        )
    root = _last_linear(module).partition(".")[0]
    inside = sorted(key for key in tensors.keys() - own.keys() if key.startswith(f"{root}."))
    if root and apart and not misshaped and all(key.startswith(f"{root}.") for key in apart) and inside:
        shapes = ", ".join(f"{key} {_times(tuple(tensors[key].shape))}" for key in inside if key.endswith("weight"))
        return (
            f"its head was replaced: {shapes}. What lies between these layers, such as ReLU or GELU, leaves no trace "
            "in the file"
        )
    return ""


@dataclass(frozen=True)
class _Head:
    """A linear layer that takes the place of a head.

    Attributes:
        target: The module that is replaced.
        place: The name of the linear layer in the file.
    """

    target: str
    place: str
    features: int
    classes: int
    bias: bool

    def put(self, module: nn.Module) -> None:
        """Put it in its place, inside of containers if the file has it inside of some."""
        head: nn.Module = nn.Linear(self.features, self.classes, bias=self.bias)
        for part in reversed(self.place.removeprefix(self.target).strip(".").split(".")):
            head = nn.Sequential(OrderedDict({part: head})) if part else head
        owner, _dot, name = self.target.rpartition(".")
        module.get_submodule(owner)._modules[name] = head


def _head(module: nn.Module, own: Shapes, tensors: Mapping[str, Tensor]) -> _Head | None:
    """Return the only linear layer that the file has in place of the network's head."""
    last = _last_linear(module)
    root = last.partition(".")[0]
    added, absent = tensors.keys() - own.keys(), own.keys() - tensors.keys()
    weights = [key for key in added if key.endswith("weight") and tensors[key].ndim == 2]
    if not last or len(weights) != 1 or not absent:
        return None
    place = weights[0].rpartition(".")[0]
    if not added <= {f"{place}.weight", f"{place}.bias"} or place.partition(".")[0] != root:
        return None
    classes, features = tensors[weights[0]].shape
    for target, takes in _targets(module, last, root):
        inside = {key for key in own if key.startswith(f"{target}.")}
        if absent == inside and features == takes and f"{place}.".startswith(f"{target}."):
            return _Head(target, place, features, classes, f"{place}.bias" in added)
    return None


def _targets(module: nn.Module, last: str, root: str) -> list[tuple[str, int]]:
    """Return what may have been replaced, with the features that it takes: the last layer, or the whole head."""
    found = [(last, module.get_submodule(last).in_features)]
    parts = [m for m in module.get_submodule(root).modules() if next(m.parameters(recurse=False), None) is not None]
    if all(isinstance(part, nn.Linear) for part in parts):
        found.append((root, parts[0].in_features))
    return found  # type: ignore[return-value]


def _first_layer(channels: int) -> Change:
    def put(module: nn.Module) -> None:
        name = _first(module)
        old = module.get_submodule(name)
        assert isinstance(old, nn.Conv2d)  # noqa: S101  it is found by its type
        new = nn.Conv2d(
            channels,
            old.out_channels,
            old.kernel_size,  # type: ignore[arg-type]
            old.stride,  # type: ignore[arg-type]
            old.padding,  # type: ignore[arg-type]
            old.dilation,  # type: ignore[arg-type]
            bias=old.bias is not None,
        )
        owner, _dot, last = name.rpartition(".")
        module.get_submodule(owner)._modules[last] = new

    return put


def _channels(module: nn.Module, own: Shapes, tensors: Mapping[str, Tensor]) -> int:
    """Return the number of channels that the file's first layer takes, if nothing else of it differs."""
    name = _first(module)
    key = f"{name}.weight"
    if not name or key not in own or key not in tensors or tensors[key].ndim != 4:
        return 0
    mine, theirs = own[key], tuple(tensors[key].shape)
    same = mine != theirs and mine[0] == theirs[0] and mine[2:] == theirs[2:]
    return theirs[1] if same and getattr(module.get_submodule(name), "groups", 1) == 1 else 0


def _side(module: nn.Module, own: Shapes, tensors: Mapping[str, Tensor]) -> int:
    """Return the size of the image of a vision transformer, from the number of its position embeddings."""
    key = next((k for k in ("encoder.pos_embedding", "pos_embed") if k in own and k in tensors), "")
    patch = next(
        (tuple(tensors[k].shape)[-1] for k in ("conv_proj.weight", "patch_embed.proj.weight") if k in tensors), 0
    )
    if not key or not patch or tensors[key].ndim != 3 or own[key][2] != tensors[key].shape[2]:
        return 0
    mine, theirs = own[key][1], tensors[key].shape[1]
    before = mine - math.isqrt(mine) ** 2  # class tokens
    side = math.isqrt(max(0, theirs - before))
    return side * patch if mine != theirs and side and side**2 == theirs - before and side * patch <= 4096 else 0


def _first(module: nn.Module) -> str:
    return next((name for name, part in module.named_modules() if isinstance(part, nn.Conv2d)), "")


def _last_linear(module: nn.Module) -> str:
    return next((n for n, part in reversed(list(module.named_modules())) if isinstance(part, nn.Linear)), "")


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
