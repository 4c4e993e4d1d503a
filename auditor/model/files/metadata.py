"""The metadata of a checkpoint: architecture, class names, preprocessing.

Training code uses many names for these; this module maps them to one name each. Nothing is executed: the name of an
architecture is only looked up among the builders of torchvision and timm.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from auditor.model import declared_preprocessing

_INSIDE = ("hyper_parameters", "hparams", "config", "cfg", "args", "opt", "meta", "metadata")
_ARCH = ("arch", "architecture", "model_name", "arch_name", "backbone")
_ARGUMENTS = ("arch_args", "model_args", "model_kwargs")
_CLASSES = ("classes", "class_names", "class_to_idx", "idx_to_class", "names", "categories", "labels")
_RECIPES = ("preprocess", "preprocessing", "pretrained_cfg", "data_config", "transforms")


def normalised(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return `arch`, `arch_args`, `classes` and `preprocess`, where given, and other plain values unchanged."""
    found = {key: value for key, value in said.items() if isinstance(value, str | int | float | bool)}
    for name in (*_ARCH, *_ARGUMENTS, *_CLASSES, *_RECIPES):
        found.pop(name, None)
    places = list(_places(said))
    named = {
        "arch": _first(places, _ARCH, _name) or _first(places, ("model",), _name),
        "arch_args": _first(places, _ARGUMENTS, _arguments),
        "classes": _first(places, _CLASSES, class_names),
        "preprocess": _first(places, _RECIPES, _recipe) or declared_preprocessing.of_timm(said),
    }
    return found | {key: value for key, value in named.items() if value}


def mapping(value: object) -> Mapping[str, Any] | None:
    """Return a mapping or the entries of argparse's Namespace; None for anything else."""
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    return value if isinstance(value, Mapping) else None


def class_names(value: object) -> tuple[str, ...] | None:
    """Return class names in the order of their indices; None if the value does not hold one for each index.

    The value is a list, a mapping from index to name, or one from name to index.
    """
    if isinstance(value, list | tuple):
        return tuple(value) if value and all(isinstance(v, str) for v in value) else None
    if not isinstance(value, Mapping) or not value:
        return None
    pairs = [(k, v) for k, v in value.items() if isinstance(v, str)] or [(v, k) for k, v in value.items()]
    try:
        by_index = {int(index): str(name) for index, name in pairs}
    except (TypeError, ValueError):
        return None
    if sorted(by_index) != list(range(len(value))):
        return None
    return tuple(by_index[i] for i in range(len(value)))


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
    return value.strip() if isinstance(value, str) and value.strip() else None


def _arguments(value: object) -> dict[str, Any] | None:
    said = mapping(value)
    if said is None:
        return None
    return {str(k): v for k, v in said.items() if isinstance(v, str | int | float | bool)}


def _recipe(value: object) -> dict[str, Any] | None:
    said = mapping(value)
    if not said:
        return None
    if set(said) <= set(declared_preprocessing.KEYS):
        return dict(said)
    return declared_preprocessing.of_timm(said)
