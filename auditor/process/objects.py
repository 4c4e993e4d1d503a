"""What has changed in plain objects that many share, and how it was.

Lists, dictionaries, sets, arrays and the attributes of this package's objects are followed from a root. Modules of
torch are left to `auditor.model.preserve`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

_LARGEST = 2**26  # bytes of an array that is copied
_LEAVES = (str, bytes, int, float, bool, type(None))
_MISSING = object()


@dataclass(frozen=True, slots=True)
class _Node:
    """Something that can be changed in place: its name, a copy of its contents, and how both are compared."""

    name: str
    place: Any
    then: Any


class Objects:
    """What hung on some roots when it was made.

    Args:
        roots: Objects by the name that a reader sees.
        own: Whether the attributes of a class's objects are followed.
        tensors: Whether tensors that were written to are noticed; they can't be put back.
    """

    def __init__(self, roots: Mapping[str, Any], own: Callable[[type], bool], *, tensors: bool = True) -> None:
        self._own, self._tensors = own, tensors
        self._nodes: list[_Node] = []
        self._seen: dict[int, Any] = {}
        for name, root in roots.items():
            self._follow(name, root)

    def restored(self) -> list[str]:
        """Put back what has changed since, and return its names."""
        return [name for node in list(self._nodes) for name in self._changed(node)]

    def _follow(self, name: str, found: Any) -> None:
        stack = [(name, found)]
        while stack:
            name, found = stack.pop()
            if isinstance(found, _LEAVES) or id(found) in self._seen:
                continue
            self._seen[id(found)] = found  # keeps it alive, so that its id stays its own
            stack.extend(self._inside(name, found))

    def _inside(self, name: str, found: Any) -> Iterator[tuple[str, Any]]:
        """Remember what can be changed in place, and yield what it holds."""
        if isinstance(found, np.ndarray):
            if found.nbytes <= _LARGEST and found.dtype != object:
                self._nodes.append(_Node(name, found, found.copy()))
        elif isinstance(found, torch.Tensor):
            if self._tensors and not found.is_inference():
                self._nodes.append(_Node(name, found, found._version))
        elif isinstance(found, dict | MappingProxyType):
            if isinstance(found, dict):
                self._nodes.append(_Node(name, found, dict(found)))
            yield from ((f"{name}[{key!r}]", value) for key, value in found.items())
        elif isinstance(found, list | set):
            self._nodes.append(_Node(name, found, type(found)(found)))
            yield from ((name, value) for value in found)
        elif isinstance(found, tuple):
            if not (found and isinstance(found[0], _LEAVES)):
                yield from ((name, value) for value in found)
        elif self._own(type(found)) and not isinstance(found, torch.nn.Module | type):
            self._nodes.append(_Node(name, found, _attributes(found)))
            yield from ((f"{name}.{key}", value) for key, value in _attributes(found).items())

    def _changed(self, node: _Node) -> Iterator[str]:
        place, then = node.place, node.then
        if isinstance(place, np.ndarray):
            if place.shape != then.shape or place.tobytes() != then.tobytes():
                yield node.name
                _write(place, then)
        elif isinstance(place, torch.Tensor):
            if place._version != then:
                yield node.name
        elif isinstance(place, dict):
            if not _holds(place, then):
                yield node.name
                place.clear()
                place.update(then)
        elif isinstance(place, list | set):
            if len(place) != len(then) or any(a is not b for a, b in zip(place, then, strict=True)):
                yield node.name
                place.clear()
                (place.extend if isinstance(place, list) else place.update)(then)
        else:
            yield from self._changed_attributes(node)

    def _changed_attributes(self, node: _Node) -> Iterator[str]:
        now = _attributes(node.place)
        for name in now.keys() | node.then.keys():
            before = node.then.get(name, _MISSING)
            if now.get(name, _MISSING) is before:
                continue
            if before is _MISSING and isinstance(getattr(type(node.place), name, None), cached_property):
                node.then[name] = now[name]  # computed for the first time
                self._follow(f"{node.name}.{name}", now[name])
                continue
            yield f"{node.name}.{name}"
            if before is _MISSING:
                object.__delattr__(node.place, name)
            else:
                object.__setattr__(node.place, name, before)


def _attributes(found: Any) -> dict[str, Any]:
    slots = [name for kind in type(found).__mro__ for name in vars(kind).get("__slots__", ()) if hasattr(found, name)]
    own = {name: getattr(found, name) for name in slots if name not in ("__dict__", "__weakref__")}
    return own | dict(getattr(found, "__dict__", {}))


def _holds(place: dict[Any, Any], then: dict[Any, Any]) -> bool:
    return len(place) == len(then) and all(place.get(key, _MISSING) is value for key, value in then.items())


def _write(place: np.ndarray[Any, Any], then: np.ndarray[Any, Any]) -> None:
    chain = [place]
    while isinstance(chain[-1].base, np.ndarray):
        chain.append(chain[-1].base)
    writable = [one.flags.writeable for one in chain]
    with suppress(ValueError):  # memory that is not numpy's may stay read-only
        for one in reversed(chain):
            one.setflags(write=True)
        place[...] = then
    for one, before in zip(chain, writable, strict=True):
        one.setflags(write=before)
