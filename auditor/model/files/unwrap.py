"""Find the network's tensors in what training code saves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from auditor.errors import CheckpointError
from auditor.model.files import metadata, module_state
from auditor.model.files.stand_in import StandIn, readable
from auditor.model.files.storages import Saved

# In order of preference: the moving average of the weights is used only if there are no plain weights.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
_AVERAGES = ("ema", "model_ema", "state_dict_ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "params_ema")
_TRAINING = ("optim", "sched", "scaler", "loss", "criterion", "callback", "metric", "rng")
_LOSSES = {"loss", "losses", "criterion", "criterions", "metric", "metrics", "accuracy", "acc"}
_PREFIXES = ("module.", "model.", "_orig_mod.", "net.")
_BOOKKEEPING = ("n_averaged", "total_ops", "total_params")  # left by AveragedModel and by thop, a profiler
_DEEPEST: Final = 16  # dicts inside of dicts, and prefixes before prefixes
_LONGEST: Final = 512  # letters of a tensor's name
_MOST: Final = 100_000  # tensors of a network


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
        of: The class of the module that was saved whole and whose tensors these are.
    """

    tensors: dict[str, Tensor]
    module: nn.Module | None
    said: dict[str, Any]
    prefix: str = ""
    taken: str = ""
    left_out: tuple[str, ...] = ()
    of: StandIn | None = None


def unwrap(saved: object) -> Contents:
    """Return the tensors or the network in a saved object.

    Raises:
        CheckpointError: There are none.
    """
    search = _Search()
    said: dict[str, Any] = {}
    path: list[str] = []
    content = saved
    while (entries := metadata.mapping(content)) is not None and (key := search.wrapper(entries)) is not None:
        said = search.beside(entries, key) | said
        path.append(key)
        content = entries[key]
        if len(path) > _DEEPEST:
            raise CheckpointError(f"its tensors lie more than {_DEEPEST} dicts deep; save `model.state_dict()`")
    if isinstance(content, nn.Module):
        return Contents({}, _bare(content), said, taken=".".join(path))
    whole = module_state.bare(content) if isinstance(content, StandIn) and module_state.is_module(content) else None
    tensors = _tensors(content if whole is None else module_state.state_dict(whole))
    said = (search.beside(entries, None) if entries is not None and whole is None else {}) | said
    names, prefix, left_out = stripped(tensors)
    return Contents(names, None, said, prefix, ".".join(path), left_out, whole)


class _Search:
    """Looks for weights in nested dicts, and looks at each dict once."""

    def __init__(self) -> None:
        self._known: dict[int, bool] = {}

    def wrapper(self, entries: Mapping[Any, Any], depth: int = 0) -> str | None:
        """Return the key of the entry with the weights, None if the entries are the weights or have none."""
        for key in (*_WRAPPERS, *_AVERAGES):
            value = entries.get(key)
            if not isinstance(value, Tensor | Saved) and self.holds(value, depth):
                return key
        if any(_named_tensors(entries)):
            return None
        others = [k for k, v in entries.items() if self.holds(v, depth) and not _belongs_to_training(k)]
        return others[0] if len(others) == 1 else None

    def holds(self, value: object, depth: int = 0) -> bool:
        """Return whether a value is, or contains, weights."""
        if isinstance(value, Tensor | Saved | nn.Module) or module_state.is_module(value):
            return True
        if not isinstance(value, Mapping) or depth > _DEEPEST:
            return False
        if id(value) not in self._known:
            self._known[id(value)] = False  # until it is known: it may hold itself
            self._known[id(value)] = any(_named_tensors(value)) or self.wrapper(value, depth + 1) is not None
        return self._known[id(value)]

    def beside(self, entries: Mapping[Any, Any], key: str | None) -> dict[str, Any]:
        """Return the entries that are no weights."""
        return {k: v for k, v in entries.items() if isinstance(k, str) and k != key and not self.holds(v)}


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


def _named_tensors(entries: Mapping[Any, Any]) -> Iterator[str]:
    return (key for key, value in entries.items() if isinstance(key, str) and isinstance(value, Tensor | Saved))


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
    found = {key: value for key, value in found.items() if key.rpartition(".")[2] not in _BOOKKEEPING}
    if not found:
        keys = ", ".join(repr(k)[:60] for k in list(entries)[:8]) or "none"
        raise CheckpointError(f"it holds no tensors of a network; its keys are: {keys}")
    _refuse_impossible(found)
    return {key: _dense(value) for key, value in found.items()}


def _refuse_impossible(found: Mapping[str, object]) -> None:
    if len(found) > _MOST:
        raise CheckpointError(f"it holds {len(found):,} tensors; expected at most {_MOST:,}")
    if long := next((key for key in found if len(key) > _LONGEST), None):
        raise CheckpointError(f"it holds a tensor whose name has {len(long):,} letters; expected at most {_LONGEST}")


def _joined(entries: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the tensors of parts, such as `{"backbone": ..., "head": ...}`, under the names in a whole network."""
    parts = {k: v for k, v in entries.items() if isinstance(v, Mapping) and not _belongs_to_training(k)}
    return {f"{part}.{key}": inside[key] for part, inside in parts.items() for key in _named_tensors(inside)}


def _dense(value: Tensor | Saved) -> Tensor:
    tensor = value.tensor if isinstance(value, Saved) else value.detach()
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
    if isinstance(value, StandIn):
        return f"an object of {readable(value.name)}"
    kind = "tensor" if isinstance(value, Saved | Tensor) else type(value).__name__
    return f"an {kind}" if kind[0] in "aeiouAEIOU" else f"a {kind}"
