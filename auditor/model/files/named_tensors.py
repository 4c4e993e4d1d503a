"""The named tensors in a dict, and what they are where they are none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from auditor.errors import CheckpointError
from auditor.model.files.settings_objects import mapping
from auditor.model.files.stand_in import StandIn, readable
from auditor.model.files.storages import Saved

_TRAINING = ("optim", "sched", "scaler", "loss", "criterion", "callback", "metric", "rng")
_BOOKKEEPING = ("n_averaged", "total_ops", "total_params")  # left by AveragedModel and by thop, a profiler
_LONGEST: Final = 512  # letters of a tensor's name
_MOST: Final = 100_000  # tensors of a network


def keys_of_tensors(entries: Mapping[Any, Any]) -> Iterator[str]:
    """Yield the names under which a dict has tensors."""
    return (key for key, value in entries.items() if isinstance(key, str) and isinstance(value, Tensor | Saved))


def belongs_to_training(key: object) -> bool:
    """Return whether a key is one of what training needs beside the network."""
    return not isinstance(key, str) or any(word in key.lower() for word in _TRAINING)


def named(content: object) -> dict[str, Any]:
    """Return the tensors of a dict by name, as they are in the file.

    Raises:
        CheckpointError: There are none, or more than a network has.
    """
    entries = mapping(content)
    if entries is None:
        raise CheckpointError(f"it holds {_described(content)}; expected named tensors: save `model.state_dict()`")
    found = {key: entries[key] for key in keys_of_tensors(entries)}
    if not found:
        found = _joined(entries)
    found = {key: value for key, value in found.items() if key.rpartition(".")[2] not in _BOOKKEEPING}
    if not found:
        keys = ", ".join(repr(k)[:60] for k in list(entries)[:8]) or "none"
        raise CheckpointError(f"it holds no tensors of a network; its keys are: {keys}")
    _refuse_impossible(found)
    return found


def _refuse_impossible(found: Mapping[str, object]) -> None:
    if len(found) > _MOST:
        raise CheckpointError(f"it holds {len(found):,} tensors; expected at most {_MOST:,}")
    if long := next((key for key in found if len(key) > _LONGEST), None):
        raise CheckpointError(f"it holds a tensor whose name has {len(long):,} letters; expected at most {_LONGEST}")


def _joined(entries: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the tensors of parts, such as `{"backbone": ..., "head": ...}`, under the names in a whole network."""
    parts = {k: v for k, v in entries.items() if isinstance(v, Mapping) and not belongs_to_training(k)}
    return {f"{part}.{key}": inside[key] for part, inside in parts.items() for key in keys_of_tensors(inside)}


def dense(tensors: Mapping[str, Tensor | Saved]) -> dict[str, Tensor]:
    """Return the tensors as ordinary ones: neither sparse nor quantised, and without gradient."""
    return {key: _made_dense(value) for key, value in tensors.items()}


def _made_dense(value: Tensor | Saved) -> Tensor:
    tensor = value.tensor if isinstance(value, Saved) else value.detach()
    if tensor.is_quantized:
        return tensor.dequantize()
    return tensor if tensor.layout == torch.strided else tensor.to_dense()


def _described(value: object) -> str:
    if isinstance(value, StandIn):
        return f"an object of {readable(value.name)}"
    kind = "tensor" if isinstance(value, Saved | Tensor) else type(value).__name__
    return f"an {kind}" if kind[0] in "aeiouAEIOU" else f"a {kind}"
