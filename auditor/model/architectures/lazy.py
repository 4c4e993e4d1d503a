"""Lazy layers, such as `nn.LazyLinear`: they get their shapes from a checkpoint, and become plain layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

from auditor.errors import ArchitectureError


def refuse_without_shape(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Refuse a network with lazy tensors that a checkpoint does not have.

    Raises:
        ArchitectureError: There is one.
    """
    lacking = [key for key, value in module.state_dict().items() if is_lazy(value) and key not in tensors]
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise ArchitectureError(
            f"the network has lazy layers, which get their shapes from the checkpoint, but it lacks "
            f"{', '.join(lacking[:3])}{more}; save the network after its first image, or give the network of training "
            "with --arch"
        )


def settle(module: nn.Module) -> None:
    """Turn each lazy layer with loaded tensors into what it becomes with its first image."""
    for part in module.modules():
        if isinstance(part, LazyModuleMixin) and not _has_lazy_tensors(part):
            _settle(part)


def _has_lazy_tensors(part: nn.Module) -> bool:
    return any(is_lazy(t) for t in (*part.parameters(recurse=False), *part.buffers(recurse=False)))


def _settle(part: Any) -> None:
    if hasattr(part, "in_features"):
        part.in_features = part.weight.shape[1]
    if hasattr(part, "in_channels"):
        taken = part.weight.shape[0] if part.transposed else part.weight.shape[1] * part.groups
        part.in_channels = taken
    if hasattr(part, "num_features"):
        part.num_features = len(part.weight if part.weight is not None else part.running_mean)
    for hook in ("_initialize_hook", "_load_hook"):
        getattr(part, hook).remove()
        delattr(part, hook)
    part.__class__ = part.cls_to_become or type(part)
