"""What a program in a sandbox says about itself: its modules and its tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

Tensors = dict[str, Tensor]

# Attributes of layers that checks read: plain numbers, which a module of TorchScript still has.
ATTRIBUTES = (
    "groups", "stride", "padding", "dilation", "kernel_size", "transposed", "in_channels", "out_channels", "eps",
    "momentum", "affine", "track_running_stats", "num_features", "in_features", "out_features", "ceil_mode",
)  # fmt: skip
_LONGEST_NAME = 300
_LONGEST_LINE = 1000
_MOST_MODULES = 100_000
_MOST_MEASURES = 8


@dataclass(frozen=True, slots=True)
class Description:
    """The description of a program.

    Attributes:
        modules: The class and the plain attributes of each module, by name.
        parameters: The names of the tensors that are parameters; the others are buffers.
        held: The measures of the sandbox that hold.
    """

    name: str
    modules: Mapping[str, tuple[str, Mapping[str, Any]]]
    parameters: frozenset[str]
    held: tuple[str, ...]


def described(answer: Mapping[str, Any], tensors: Sequence[Tensor]) -> tuple[Description, Tensors] | None:
    """Return what a program says about itself, None if it makes no sense."""
    names: Any
    modules: Any
    parameters: Any
    held: Any
    modules, names, parameters, held = (answer.get(part) for part in ("modules", "names", "parameters", "held"))
    if not _are_names(names) or not _are_names(parameters) or not _are_names(held) or not isinstance(modules, list):
        return None
    if len(names) != len(tensors) or len(set(names)) != len(names) or not set(parameters) <= set(names):
        return None
    if len(modules) > _MOST_MODULES or not all(map(_is_module, modules)):
        return None
    found = Description(
        name=in_one_line(answer.get("name")),
        modules={name: (kind, attributes) for name, kind, attributes in modules},
        parameters=frozenset(parameters),
        held=tuple(held[:_MOST_MEASURES]),
    )
    return found, dict(zip(names, tensors, strict=True))


def in_one_line(text: object) -> str:
    """Return what a program says, in one line of characters that can be printed."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text)[:_LONGEST_LINE])


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_name, value))


def _is_name(value: Any) -> bool:
    """Whether it can be the name of a module or a tensor: it hides no method of a module."""
    plain = isinstance(value, str) and len(value) <= _LONGEST_NAME and value.isprintable()
    return plain and not any(part in _TAKEN for part in value.split("."))


def _is_module(one: Any) -> bool:
    return (
        isinstance(one, list)
        and len(one) == 3
        and _is_name(one[0])
        and _is_name(one[1])
        and isinstance(one[2], dict)
        and set(one[2]) <= set(ATTRIBUTES)
    )


_TAKEN = frozenset([*dir(nn.Module), *vars(nn.Module()), "original_name", "_sandboxed"])
