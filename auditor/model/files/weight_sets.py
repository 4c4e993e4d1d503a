"""The sets of weights in a checkpoint: plain and averaged ones, student and teacher, the last and the best."""

from __future__ import annotations

import argparse
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor, nn

from auditor.errors import CheckpointError, did_you_mean
from auditor.model.files import module_state
from auditor.model.files.parameter_names import stripped, unwrapped
from auditor.model.files.parametrizations import plain_name
from auditor.model.files.settings_objects import mapping
from auditor.model.files.stand_in import StandIn, readable
from auditor.model.files.storages import Saved

Named = Mapping[str, Any]

_AVERAGED: Final = re.compile(
    r"(?:^|[^a-z])(?:ema|swa|emas?|averaged?|avg|teacher|momentum|target|shadow|polyak|encoder_k|key_encoder)(?![a-z])",
    re.IGNORECASE,
)
_LATE: Final = re.compile(
    r"(?:^|[^a-z])(?:init|initial|old|prev|previous|last|backup|pretrained)(?![a-z])", re.IGNORECASE
)
_NO_WEIGHTS: Final = re.compile(
    r"optim|sched|scaler|loss|criterion|metric|rng|grad|exp_avg|momentum_buffer|fisher|hessian|variance", re.IGNORECASE
)
_COUNTERS: Final = ("steps", "step", "num_updates", "n_averaged", "decay", "initted")
_ONE: Final = ((), (1,))
_HOLDS: Final = (Mapping, StandIn, argparse.Namespace, nn.Module)
_DEEPEST: Final = 16
_MOST_PLACES: Final = 20_000
_MOST: Final = 32  # sets
_OF_THE_SET: Final = 0.5  # of its tensors another set has to share with the network's, by name and shape
_OF_THE_NETWORK: Final = 0.3
UNNAMED: Final = "weights"
"""The name of weights that lie at the top of a file."""


class NoSuchWeights(CheckpointError):
    """`--weights` names no set of the file, or more than one."""


@dataclass(frozen=True)
class Place:
    """A place in a checkpoint that holds weights.

    Attributes:
        keys: The keys that lead there.
        content: Named tensors, or a module.
    """

    keys: tuple[str, ...]
    content: Any

    @property
    def name(self) -> str:
        """What `--weights` calls it."""
        return named(self.keys)


def named(keys: Sequence[str]) -> str:
    """Return the name of the weights to which keys lead."""
    return ".".join(readable(key) for key in keys) or UNNAMED


def places(saved: object) -> list[Place]:
    """Return every place that holds weights, outer ones first; without the state of an optimizer."""
    found: list[Place] = []
    waiting = deque([Place((), saved)])
    seen: set[int] = set()
    for _ in range(_MOST_PLACES):
        if not waiting or len(found) >= _MOST:
            break
        place = waiting.popleft()
        if id(place.content) in seen:
            continue
        seen.add(id(place.content))
        if holds_tensors(place.content):
            found.append(place)
        if len(place.keys) < _DEEPEST and len(waiting) < _MOST_PLACES:
            waiting += _inside(place)
    return found


def holds_tensors(content: object) -> bool:
    """Return whether a value is a module, or has named tensors."""
    if isinstance(content, nn.Module) or module_state.is_module(content):
        return True
    return isinstance(content, Mapping) and any(
        isinstance(key, str) and isinstance(value, Tensor | Saved) for key, value in content.items()
    )


def _inside(place: Place) -> Iterator[Place]:
    entries = mapping(place.content)
    for key, value in entries.items() if entries is not None else ():
        if isinstance(key, str) and isinstance(value, _HOLDS) and not _NO_WEIGHTS.search(key):
            yield Place((*place.keys, key), value)


def chosen(wanted: str, among: Sequence[str]) -> str:
    """Return the name of the set that `--weights` asks for: its whole name, or a part that no other one has.

    Raises:
        NoSuchWeights: There is none, or more than one.
    """
    if wanted in among:
        return wanted
    fits = [name for name in among if f".{wanted}." in f".{name}."]
    if len(fits) == 1:
        return fits[0]
    if len(among) == 1:
        raise NoSuchWeights(f"it holds one set of weights, and none called {wanted!r}; leave out --weights")
    there = f"the file has: {', '.join(among)}"
    if fits:
        raise NoSuchWeights(f"{len(fits)} sets of weights are called {wanted!r}; {there}")
    raise NoSuchWeights(f"no set of weights is called {wanted!r}{did_you_mean(wanted, among)}; {there}")


def is_averaged(name: str) -> bool:
    """Return whether a name is one that training code gives to averaged weights."""
    return bool(_AVERAGED.search(name))


def without_counters(tensors: Named) -> dict[str, Any]:
    """Return averaged weights without what counts the steps of averaging."""
    return {
        name: tensor for name, tensor in tensors.items() if name not in _COUNTERS or tuple(tensor.shape) not in _ONE
    }


def rank(key: str) -> tuple[bool, bool]:
    """Return the order in which sets are taken: plain before averaged ones, the best before the last."""
    return is_averaged(key), bool(_LATE.search(key))


def alike(one: Named, other: Named) -> bool:
    """Return whether `other` is another set of weights of the network whose weights are `one`."""
    own, found = _shapes(one), _shapes(other)
    same = sum(own.get(name) == shape for name, shape in found.items())
    return bool(same) and same >= _OF_THE_SET * len(found) and same >= _OF_THE_NETWORK * len(own)


def _shapes(tensors: Named) -> dict[str, tuple[int, ...]]:
    names = stripped(tensors)[0]
    return {unwrapped(plain_name(name, names)): tuple(tensor.shape) for name, tensor in names.items()}


def split(tensors: Named) -> dict[str, dict[str, Any]]:
    """Return the sets that lie under one roof: `student.` and `teacher.`, `model.` and `model_ema.`.

    The first set is the plain one: all tensors that are no average of others. Each of the others is the same with the
    averages in the places of what they average. The roof is removed where nothing lies beside it but a loss. Without
    any averages the result is empty.
    """
    names, prefix, _left_out = stripped(tensors)
    groups = _averaged_groups(names)
    plain = {name: tensor for name, tensor in names.items() if name.partition(".")[0] not in groups}
    roofs = {head: roof for head, group in groups.items() if (roof := _roof(plain, group)) is not None}
    if not roofs:
        return {}
    plain = {name: tensor for name, tensor in names.items() if name.partition(".")[0] not in roofs}
    sets = {_first_name(set(roofs.values())): plain}
    for head, roof in roofs.items():
        sets[head] = plain | _renamed(groups[head], plain, roof)
    only = next(iter(set(roofs.values()))) if len(set(roofs.values())) == 1 else ""
    bare = {name: stripped(one, also=only)[0] for name, one in sets.items()}
    return {name: {prefix + key: tensor for key, tensor in one.items()} for name, one in bare.items()}


def _averaged_groups(names: Named) -> dict[str, dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {}
    for name, tensor in names.items():
        head, dot, rest = name.partition(".")
        if dot and is_averaged(head):
            groups.setdefault(head, {})[rest] = tensor
    return groups


def _roof(plain: Named, group: Named) -> str | None:
    """Return the prefix in front of what a group averages, None if it averages nothing."""
    heads = dict.fromkeys(name.partition(".")[0] + "." for name in plain if "." in name)
    for roof in (*heads, ""):
        under = {name.removeprefix(roof): tensor for name, tensor in plain.items() if name.startswith(roof)}
        if alike(under, group):
            return roof
    return None


def _first_name(roofs: set[str]) -> str:
    return roofs.pop().rstrip(".") or UNNAMED if len(roofs) == 1 else UNNAMED


def _renamed(group: Named, plain: Named, roof: str) -> dict[str, Any]:
    """Return the tensors of a group under the names of what they average."""
    own = {unwrapped(name.removeprefix(roof)): name for name in plain if name.startswith(roof)}
    found = {own.get(unwrapped(name)): tensor for name, tensor in stripped(group)[0].items()}
    return {name: tensor for name, tensor in found.items() if name is not None}
