"""The state dict of a module that was pickled whole, without its class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from torch import Tensor

from auditor.errors import CheckpointError
from auditor.model.files.stand_in import StandIn
from auditor.model.files.storages import Saved

MOST_PARTS: Final = 100_000

_WRAPPERS = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "FullyShardedDataParallel": "module",
    "AveragedModel": "module",
    "OptimizedModule": "_orig_mod",
}


def is_module(value: object) -> bool:
    """Return whether a stand-in is that of a `torch.nn.Module`."""
    if not isinstance(value, StandIn):
        return False
    said = value.attributes
    return all(isinstance(said.get(key), dict) for key in ("_parameters", "_buffers", "_modules"))


def bare(module: StandIn) -> StandIn:
    """Return the module inside of DataParallel, AveragedModel or torch.compile."""
    for _ in range(len(_WRAPPERS)):
        inside = module.attributes["_modules"].get(_WRAPPERS.get(_last(module), ""))
        if not is_module(inside):
            break
        module = inside
    return module


def state_dict(module: StandIn) -> dict[str, Any]:
    """Return the tensors under the names that the module's own `state_dict()` would give.

    Raises:
        CheckpointError: The module has more than `MOST_PARTS` parts, or holds itself.
    """
    found: dict[str, Any] = {}
    for prefix, part in _parts(module):
        said = part.attributes
        hidden = said.get("_non_persistent_buffers_set")
        passing = hidden if isinstance(hidden, set | frozenset) else ()
        for name, value in (*said["_parameters"].items(), *said["_buffers"].items()):
            if isinstance(name, str) and isinstance(value, Saved | Tensor | StandIn) and name not in passing:
                found[prefix + name] = value
    return found


def classes(module: StandIn) -> set[str]:
    """Return the names of the classes of a module and its parts."""
    return {part.name for _, part in _parts(module)}


def _parts(module: StandIn) -> Iterator[tuple[str, StandIn]]:
    """Yield each part after the one that holds it, with the prefix of its names."""
    waiting, parts, letters = [("", module)], 0, 0
    while waiting:
        prefix, part = waiting.pop()
        parts, letters = parts + 1, letters + len(prefix)
        if parts > MOST_PARTS or letters > 100 * MOST_PARTS:
            raise CheckpointError(f"it holds a module of more than {MOST_PARTS:,} parts, or one that holds itself")
        yield prefix, part
        inside = [(f"{prefix}{k}.", v) for k, v in part.attributes["_modules"].items() if is_module(v)]
        waiting += reversed(inside)


def _last(module: StandIn) -> str:
    return module.name.rpartition(".")[2]
