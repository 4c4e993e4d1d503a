"""The names of tensors in checkpoints: the prefixes that all of them share, and what wrappers put into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from torch import Tensor

WRAPPERS: Final = frozenset(
    {
        "module",  # DataParallel, DistributedDataParallel, AveragedModel, DeepSpeed
        "_orig_mod",  # torch.compile
        "_fsdp_wrapped_module",
        "_fpw_module",
        "_checkpoint_wrapped_module",
        "_forward_module",  # Lightning Fabric and its strategies
        "_dp_module",
        "_ddp_module",
        "_wrapped_module",
    }
)
"""Attributes in which wrappers keep the network, so that they become parts of the names."""

_PREFIXES: Final = ("module.", "model.", "net.", "base_model.model.", *(f"{name}." for name in sorted(WRAPPERS)))
_LOSSES: Final = {"loss", "losses", "criterion", "criterions", "metric", "metrics", "accuracy", "acc"}


def unwrapped(name: str) -> str:
    """Return a name without the parts that wrappers put into it, wherever they stand."""
    parts = name.split(".")
    kept = [part for part in parts if part not in WRAPPERS]
    return ".".join(kept) if kept else name


def stripped(tensors: Mapping[str, Tensor], *, also: str = "") -> tuple[dict[str, Tensor], str, tuple[str, ...]]:
    """Remove the prefixes that all names share; the tensors of a loss or a metric without them are left out.

    Args:
        also: Another prefix.

    Returns:
        The tensors, the prefix, and the names that were left out.
    """
    names, prefix, left_out = dict(tensors), "", []
    while (shared := _shared_prefix(names, also)) is not None:
        left_out += [prefix + key for key in names if not key.startswith(shared)]
        names = {key.removeprefix(shared): value for key, value in names.items() if key.startswith(shared)}
        prefix += shared
    return names, prefix, tuple(left_out)


def _shared_prefix(names: Iterable[str], also: str) -> str | None:
    every = list(names)
    for prefix in (*_PREFIXES, also) if also else _PREFIXES:
        others = [key for key in every if not key.startswith(prefix)]
        if len(others) < len(every) and all(_is_loss(key.partition(".")[0]) for key in others):
            return prefix
    return None


def _is_loss(part: str) -> bool:
    return bool(_LOSSES & set(part.lower().split("_")))
