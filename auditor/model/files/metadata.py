"""The metadata of a checkpoint: architecture, class names, preprocessing.

Training code uses many names for these; this module maps them to one name each. Nothing is executed: the name of an
architecture is only looked up among the builders of torchvision and timm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from auditor.model import declared_preprocessing
from auditor.model.files.declared_classes import class_lists
from auditor.model.files.settings_objects import mapping, plain

_INSIDE = ("hyper_parameters", "hparams", "config", "cfg", "args", "opt", "meta", "metadata")
_ARCH = ("arch", "architecture", "model_name", "arch_name", "backbone")
_ARGUMENTS = ("arch_args", "model_args", "model_kwargs")
LARGEST_ARGUMENT: Final = 1_000_000
_LONGEST = 1000  # letters of a name, or items of a list of numbers
_DEEPEST = 2  # lists in lists
_RECIPES = ("preprocess", "preprocessing", "pretrained_cfg", "data_config", "transforms")


def normalised(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return `arch`, `arch_args`, `classes` and `preprocess`, where given, and other plain values unchanged.

    Where the file has several lists of class names, `class_lists` has all of them.
    """
    found = {key: value for key, value in said.items() if isinstance(value, str | int | float | bool)}
    for name in (*_ARCH, *_ARGUMENTS, *_RECIPES):
        found.pop(name, None)
    places = list(_places(said))
    lists = class_lists(said)
    named = {
        "arch": _first(places, _ARCH, _name) or _first(places, ("model",), _name),
        "arch_args": _first(places, _ARGUMENTS, arguments),
        "classes": lists[0] if lists else None,
        "class_lists": lists if len(lists) > 1 else None,
        "preprocess": _first(places, _RECIPES, _recipe) or declared_preprocessing.of_timm(said),
    }
    return found | {key: value for key, value in named.items() if value}


def _places(said: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield said
    for name in _INSIDE:
        if (inside := mapping(said.get(name))) is not None:
            yield inside
            yield from (m for m in (mapping(inside.get(n)) for n in _INSIDE) if m is not None)


def _first(places: list[Mapping[str, Any]], names: tuple[str, ...], reader: Any) -> Any:
    for place in places:
        for name in names:
            value = reader(place.get(name))
            if value:
                return value
    return None


def _name(value: object) -> str | None:
    value = plain(value)
    return value.strip() if isinstance(value, str) and value.strip() and len(value) <= _LONGEST else None


def arguments(value: object) -> dict[str, Any] | None:
    """Return the arguments of a builder: text, numbers, and short lists and tuples of these."""
    said = mapping(value)
    if said is None:
        return None
    values = {str(k): plain(v) for k, v in said.items()}
    return {k: v for k, v in values.items() if _is_sane(v)}


def _is_sane(value: object, depth: int = 0) -> bool:
    """Return whether a builder can be given a value that an unknown author chose: it may ask for any size."""
    if isinstance(value, list | tuple):
        return depth < _DEEPEST and len(value) <= _LONGEST and all(_is_sane(part, depth + 1) for part in value)
    if isinstance(value, str):
        return len(value) <= _LONGEST
    return isinstance(value, int | float) and abs(value) <= LARGEST_ARGUMENT


def _recipe(value: object) -> dict[str, Any] | None:
    said = mapping(value)
    if not said:
        return None
    if set(said) <= set(declared_preprocessing.KEYS):
        return {key: _plain(plain(entry)) for key, entry in said.items()}
    return declared_preprocessing.of_timm(said)


def _plain(value: object) -> Any:
    """Return a number, text or a short list of numbers; the name of its type for anything else, which is refused."""
    if value is None or isinstance(value, int | float) or (isinstance(value, str) and len(value) <= _LONGEST):
        return value
    if isinstance(value, list | tuple) and len(value) <= _LONGEST and all(isinstance(v, int | float) for v in value):
        return list(value)
    return f"<{type(value).__name__}>"
