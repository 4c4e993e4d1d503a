"""The class names in a checkpoint, under any of the names and in any of the forms that training code gives them."""

from __future__ import annotations

import argparse
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from auditor.model.files.constructors import Array
from auditor.model.files.settings_objects import mapping, plain
from auditor.model.files.stand_in import StandIn

_KEYS: Final = (
    *("classes", "classnames", "classtoidx", "classtoindex", "class2idx", "class2index"),
    *("idxtoclass", "idx2class", "indextoclass", "index2class", "inttoclass"),
    *("id2label", "label2id", "idtolabel", "labeltoid", "idx2label", "label2idx", "idxtolabel", "labeltoidx"),
    *("labelmap", "labelmapping", "labelnames", "classmap", "classmapping", "classlist", "classlabels", "labellist"),
    *("targetnames", "categories", "categorynames", "names", "labels"),
    *("indextoname", "idx2name", "idxtoname", "id2name", "idtoname", "name2id", "name2idx", "nametoid", "nametoidx"),
)  # without case and punctuation, in order of preference
_PLACEHOLDER: Final = re.compile(r"LABEL_\d+")  # what transformers writes where nobody gave names
_HOLDS: Final = (Mapping, StandIn, argparse.Namespace)
_DEEPEST: Final = 8
_MOST_PLACES: Final = 5_000
_MOST: Final = 200_000  # classes
_LONGEST: Final = 1_000  # letters of a name
_LONGEST_TEXT: Final = 16 * 2**20


def class_lists(said: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Return every list of class names, the ones nearer to the top first; each once."""
    found = dict.fromkeys(names for place in _places(said) for value in _named(place) if (names := class_names(value)))
    return tuple(found)


def class_names(value: object) -> tuple[str, ...] | None:
    """Return class names in the order of their indices; None if the value does not hold one for each index.

    The value is a list, a mapping from index to name, one from name to index, a list of such as
    `{"id": 0, "name": "cat"}`, or any of these in a text: JSON, or a name a line. Indices may be text, and may begin
    with 1.
    """
    value = plain(_read(value) if isinstance(value, str) else value)
    if isinstance(value, Array):
        value = value.listed
    if isinstance(value, list | tuple) and value and all(isinstance(v, Mapping) for v in value):
        value = {v.get("id", place): v.get("name") for place, v in enumerate(value)}
    if isinstance(value, Mapping):
        return _in_order(value) if len(value) <= _MOST else None
    return _names(value) if isinstance(value, list | tuple) else None


def _read(text: str) -> object:
    if len(text) > _LONGEST_TEXT:
        return None
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None
    lines = [line.strip() for line in text.strip().splitlines()]
    return lines if len(lines) > 1 else None


def _names(values: Iterable[object]) -> tuple[str, ...] | None:
    names = tuple(plain(value) for value in values)
    if not names or len(names) > _MOST or not all(isinstance(n, str) and len(n) <= _LONGEST for n in names):
        return None
    return None if all(_PLACEHOLDER.fullmatch(str(name)) for name in names) else tuple(map(str, names))


def _in_order(table: Mapping[Any, Any]) -> tuple[str, ...] | None:
    pairs = [(plain(key), plain(value)) for key, value in table.items()]
    forward, backward = pairs, [(value, key) for key, value in pairs]
    ways = (forward, backward) if all(isinstance(value, str) for _, value in pairs) else (backward,)
    return next((names for way in ways if (names := _by_index(way))), None)


def _by_index(pairs: list[tuple[Any, Any]]) -> tuple[str, ...] | None:
    if not all(isinstance(part, str | int | float) and not isinstance(part, bool) for pair in pairs for part in pair):
        return None
    try:
        names = {int(index): str(name) for index, name in pairs}
    except (ValueError, OverflowError):  # not a number, or infinite
        return None
    first = min(names, default=-1)
    if first not in (0, 1) or sorted(names) != list(range(first, first + len(pairs))):
        return None
    return _names(names[index] for index in sorted(names))


def _named(place: Mapping[str, Any]) -> Iterator[object]:
    """Yield what a mapping has under a name for class names, the usual ones first."""
    known: dict[str, Any] = {}
    for key, value in place.items():
        if isinstance(key, str) and len(key) <= _LONGEST:
            known.setdefault(re.sub(r"[^a-z0-9]", "", key.lower()), value)
    yield from (known[key] for key in _KEYS if key in known)


def _places(said: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every mapping and object of settings, outer ones first."""
    waiting: deque[tuple[int, Any]] = deque([(0, said)])
    seen: set[int] = set()
    for _ in range(_MOST_PLACES):
        if not waiting:
            return
        depth, value = waiting.popleft()
        place = mapping(value)
        if place is None or id(value) in seen:
            continue
        seen.add(id(value))
        yield place
        if depth < _DEEPEST and len(waiting) < _MOST_PLACES:
            waiting += [(depth + 1, inside) for inside in place.values() if isinstance(inside, _HOLDS)]
