"""Find the network's tensors in what training code saves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from auditor.errors import CheckpointError
from auditor.model.files import metadata

# In order of preference: the moving average of the weights is used only if there are no plain weights.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
_AVERAGES = ("ema", "model_ema", "state_dict_ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "params_ema")
_TRAINING = ("optim", "sched", "scaler", "loss", "criterion", "callback", "metric", "rng")
_LOSSES = {"loss", "losses", "criterion", "criterions", "metric", "metrics", "accuracy", "acc"}
_PREFIXES = ("module.", "model.", "_orig_mod.", "net.")
_BOOKKEEPING = ("n_averaged", "total_ops", "total_params")  # left by AveragedModel and by thop, a profiler


@dataclass(frozen=True)
class Contents:
    """The contents of a checkpoint.

    Attributes:
        tensors: By name, without the prefix.
        module: The network itself, if a whole one was saved.
        said: All other entries on the way to the tensors; outer entries first.
        prefix: The prefix that was removed.
        left_out: The tensors of a loss or a metric, which do not have the prefix.
        taken: The keys that led to the tensors, for example `state_dict` or `ema`.
    """

    tensors: dict[str, Tensor]
    module: nn.Module | None
    said: dict[str, Any]
    prefix: str = ""
    taken: str = ""
    left_out: tuple[str, ...] = ()


def unwrap(saved: object) -> Contents:
    """Return the tensors or the network in a saved object.

    Raises:
        CheckpointError: There are none.
    """
    said: dict[str, Any] = {}
    path: list[str] = []
    content = saved
    while (entries := metadata.mapping(content)) is not None and (key := _wrapper(entries)) is not None:
        said = {k: v for k, v in entries.items() if isinstance(k, str) and k != key and not holds(v)} | said
        path.append(key)
        content = entries[key]
    if isinstance(content, nn.Module):
        return Contents({}, _bare(content), said, taken=".".join(path))
    tensors = _tensors(content)
    said = {k: v for k, v in (entries or {}).items() if isinstance(k, str) and not holds(v)} | said
    names, prefix, left_out = stripped(tensors)
    return Contents(names, None, said, prefix, ".".join(path), left_out)


def holds(value: object) -> bool:
    """Return whether a value is, or contains, weights."""
    if isinstance(value, Tensor | nn.Module):
        return True
    return isinstance(value, Mapping) and (any(_named_tensors(value)) or _wrapper(value) is not None)


def stripped(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str, tuple[str, ...]]:
    """Remove the prefixes that all names share; the tensors of a loss or a metric without them are left out.

    Returns:
        The tensors, the prefix, and the names that were left out.
    """
    names, prefix, left_out = dict(tensors), "", []
    while (shared := _shared_prefix(names)) is not None:
        left_out += [prefix + key for key in names if not key.startswith(shared)]
        names = {key.removeprefix(shared): value for key, value in names.items() if key.startswith(shared)}
        prefix += shared
    return names, prefix, tuple(left_out)


def _wrapper(entries: Mapping[str, Any]) -> str | None:
    for key in (*_WRAPPERS, *_AVERAGES):
        value = entries.get(key)
        if not isinstance(value, Tensor) and holds(value):
            return key
    if any(_named_tensors(entries)):
        return None
    others = [k for k, v in entries.items() if holds(v) and not _belongs_to_training(k)]
    return others[0] if len(others) == 1 else None


def _named_tensors(entries: Mapping[Any, Any]) -> Iterator[str]:
    return (key for key, value in entries.items() if isinstance(key, str) and isinstance(value, Tensor))


def _belongs_to_training(key: object) -> bool:
    return not isinstance(key, str) or any(word in key.lower() for word in _TRAINING)


def _is_loss(part: str) -> bool:
    return bool(_LOSSES & set(part.lower().split("_")))


def _tensors(content: object) -> dict[str, Tensor]:
    entries = metadata.mapping(content)
    if entries is None:
        raise CheckpointError(f"it holds {_named(content)}; expected named tensors: save `model.state_dict()`")
    found = {key: entries[key] for key in _named_tensors(entries)}
    if not found:
        found = _joined(entries)
    found = {k: v.detach() for k, v in found.items() if k.rpartition(".")[2] not in _BOOKKEEPING}
    if not found:
        keys = ", ".join(repr(k) for k in list(entries)[:8]) or "none"
        raise CheckpointError(f"it holds no tensors of a network; its keys are: {keys}")
    return {key: _dense(value) for key, value in found.items()}


def _joined(entries: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Return the tensors of parts, such as `{"backbone": ..., "head": ...}`, under the names in a whole network."""
    parts = {k: v for k, v in entries.items() if isinstance(v, Mapping) and not _belongs_to_training(k)}
    return {f"{part}.{key}": inside[key] for part, inside in parts.items() for key in _named_tensors(inside)}


def _dense(tensor: Tensor) -> Tensor:
    if tensor.is_quantized:
        return tensor.dequantize()
    return tensor if tensor.layout == torch.strided else tensor.to_dense()


def _shared_prefix(names: Mapping[str, Tensor]) -> str | None:
    for prefix in _PREFIXES:
        others = [key for key in names if not key.startswith(prefix)]
        if len(others) < len(names) and all(_is_loss(key.partition(".")[0]) for key in others):
            return prefix
    return None


def _bare(module: nn.Module) -> nn.Module:
    """Return the module inside DataParallel, AveragedModel or torch.compile."""
    wrappers = {"DataParallel": "module", "DistributedDataParallel": "module", "AveragedModel": "module"}
    wrappers["OptimizedModule"] = "_orig_mod"
    while (attribute := wrappers.get(type(module).__name__)) and isinstance(
        getattr(module, attribute, None), nn.Module
    ):
        module = getattr(module, attribute)
    return module


def _named(value: object) -> str:
    kind = type(value).__name__
    return f"an {kind}" if kind[0] in "aeiouAEIOU" else f"a {kind}"
