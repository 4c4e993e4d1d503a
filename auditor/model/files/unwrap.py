"""Find the network's tensors in what training code saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from torch import Tensor, nn

from auditor.errors import CheckpointError
from auditor.model.files import adapters, module_state, packed_weights, weight_sets
from auditor.model.files.named_tensors import belongs_to_training, dense, keys_of_tensors, named
from auditor.model.files.parameter_names import stripped
from auditor.model.files.settings_objects import mapping
from auditor.model.files.stand_in import StandIn
from auditor.model.files.storages import Saved

# In order of preference: the moving average of the weights is used only if there are no plain weights.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
_AVERAGES = ("ema", "model_ema", "state_dict_ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "params_ema")
_DEEPEST: Final = 16  # dicts inside of dicts, and prefixes before prefixes


@dataclass(frozen=True)
class Contents:
    """The contents of a checkpoint.

    Attributes:
        tensors: By name, without the prefix.
        module: The network itself, if a whole one was saved.
        said: All other entries on the way to the tensors; outer entries first.
        prefix: The prefix that was removed.
        left_out: The tensors of a loss or a metric, which do not have the prefix.
        taken: The name of the set of weights: the keys that led to it, for example `state_dict` or `ema`.
        of: The class of the module that was saved whole and whose tensors these are.
        others: The other sets of weights of the same network, by name.
        unsplit: All tensors, where the sets lie side by side in one dict; a network may really have them all.
    """

    tensors: dict[str, Tensor]
    module: nn.Module | None
    said: dict[str, Any]
    prefix: str = ""
    taken: str = ""
    left_out: tuple[str, ...] = ()
    of: StandIn | None = None
    others: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    unsplit: Mapping[str, Tensor] = field(default_factory=dict)


def unwrap(saved: object, *, weights: str | None = None) -> Contents:
    """Return the tensors or the network in a saved object.

    Args:
        weights: The name of the set of weights to take; None takes the plain ones.

    Raises:
        CheckpointError: There are none, or none of that name.
    """
    default, said = _default(saved)
    sets = _sets(default, weight_sets.places(saved))
    name = next(iter(sets)) if weights is None else weight_sets.chosen(weights, list(sets))
    chosen = sets[name]
    if isinstance(chosen.content, nn.Module):
        return Contents({}, _bare(chosen.content), said, taken=name)
    names, prefix, left_out = stripped(adapters.merged(dense(chosen.tensors), said))
    return Contents(
        names,
        None,
        said,
        prefix,
        name if chosen.keys else "",
        left_out,
        chosen.of,
        {
            one: stripped(dense(other.tensors))[0]
            for one, other in sets.items()
            if one != name and weight_sets.alike(chosen.tensors, other.tensors)
        },
        dense(chosen.unsplit),
    )


@dataclass(frozen=True)
class _Set:
    """A set of weights.

    Attributes:
        keys: The keys that lead there.
        content: What the file has there.
        tensors: Its tensors by name.
        unsplit: The tensors of all sets that lie beside it in one dict.
        of: The module whose tensors these are, without its wrappers.
    """

    keys: tuple[str, ...]
    content: object
    tensors: Mapping[str, Any]
    unsplit: Mapping[str, Any] = field(default_factory=dict)
    of: StandIn | None = None


def _default(saved: object) -> tuple[weight_sets.Place, dict[str, Any]]:
    """Return the weights that are taken unless others are asked for, and what stands beside them."""
    search = _Search()
    said: dict[str, Any] = {}
    path: list[str] = []
    content = saved
    while (entries := mapping(content)) is not None and (key := search.wrapper(entries)) is not None:
        said = search.beside(entries, key) | said
        path.append(key)
        content = entries[key]
        if len(path) > _DEEPEST:
            raise CheckpointError(f"its tensors lie more than {_DEEPEST} dicts deep; save `model.state_dict()`")
    if entries is not None and not isinstance(content, nn.Module) and not module_state.is_module(content):
        said = search.beside(entries, None) | said
    return weight_sets.Place(tuple(path), content), said


def _sets(default: weight_sets.Place, places: Sequence[weight_sets.Place]) -> dict[str, _Set]:
    """Return every set of weights by name, the one that is taken by default first."""
    found = _set(default)
    parts = weight_sets.split(found.tensors)
    sets = {default.name: found}
    if parts:
        every = [(*default.keys, part) for part in parts]
        sets = {
            weight_sets.named(keys): _Set(keys, default.content, tensors, found.tensors)
            for keys, tensors in zip(every, parts.values(), strict=True)
        }
    for place in places:
        if place.content is not default.content and place.name not in sets:
            with suppress(CheckpointError):  # it holds a counter, and no weights
                sets[place.name] = _set(place)
    return sets


def _set(place: weight_sets.Place) -> _Set:
    content = place.content
    if isinstance(content, nn.Module):
        return _Set(place.keys, content, _bare(content).state_dict())
    whole = module_state.bare(content) if isinstance(content, StandIn) and module_state.is_module(content) else None
    entries = module_state.state_dict(whole) if whole is not None else mapping(content)
    packed_weights.refuse(entries or {})
    tensors = named(content if whole is None else entries)
    if weight_sets.is_averaged(place.name):
        tensors = weight_sets.without_counters(tensors)
    return _Set(place.keys, content, tensors, of=whole)


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
        if any(keys_of_tensors(entries)):
            return None
        others = [k for k, v in entries.items() if self.holds(v, depth) and not belongs_to_training(k)]
        first = min(others, key=weight_sets.rank, default=None)
        return first if len(others) == 1 or self._are_sets(entries, first, others) else None

    def _are_sets(self, entries: Mapping[Any, Any], first: str | None, keys: Sequence[str]) -> bool:
        """Return whether another entry has the same tensors as the first: they are sets, and not parts of a network."""
        if first is None or not weight_sets.holds_tensors(entries[first]):
            return False
        own = _set(weight_sets.Place((first,), entries[first])).tensors
        others = [entries[key] for key in keys if key != first and weight_sets.holds_tensors(entries[key])]
        return any(weight_sets.alike(own, _set(weight_sets.Place((), other)).tensors) for other in others)

    def holds(self, value: object, depth: int = 0) -> bool:
        """Return whether a value is, or contains, weights."""
        if isinstance(value, Tensor | Saved | nn.Module) or module_state.is_module(value):
            return True
        if not isinstance(value, Mapping) or depth > _DEEPEST:
            return False
        if id(value) not in self._known:
            self._known[id(value)] = False  # until it is known: it may hold itself
            self._known[id(value)] = any(keys_of_tensors(value)) or self.wrapper(value, depth + 1) is not None
        return self._known[id(value)]

    def beside(self, entries: Mapping[Any, Any], key: str | None) -> dict[str, Any]:
        """Return the entries that are no weights."""
        return {k: v for k, v in entries.items() if isinstance(k, str) and k != key and not self.holds(v)}


def _bare(module: nn.Module) -> nn.Module:
    """Return the module inside DataParallel, AveragedModel or torch.compile."""
    wrappers = {"DataParallel": "module", "DistributedDataParallel": "module", "AveragedModel": "module"}
    wrappers["OptimizedModule"] = "_orig_mod"
    while (attribute := wrappers.get(type(module).__name__)) and isinstance(
        getattr(module, attribute, None), nn.Module
    ):
        module = getattr(module, attribute)
    return module
