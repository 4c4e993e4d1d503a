"""The metadata of a checkpoint: architecture, class names, preprocessing.

Training code uses many names for these; this module maps them to one name each. Nothing is executed: the name of an
architecture is only looked up among the builders of torchvision and timm.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any, Final

from auditor.model import declared_preprocessing
from auditor.model.files import module_state
from auditor.model.files.stand_in import StandIn

_INSIDE = ("hyper_parameters", "hparams", "config", "cfg", "args", "opt", "meta", "metadata")
_ARCH = ("arch", "architecture", "model_name", "arch_name", "backbone")
_ARGUMENTS = ("arch_args", "model_args", "model_kwargs")
_CLASSES = ("classes", "class_names", "class_to_idx", "idx_to_class", "names", "categories", "labels")
LARGEST_ARGUMENT: Final = 1_000_000
_LONGEST = 1000  # letters of a name, or items of a list of numbers
_DEEPEST = 2  # lists in lists
_RECIPES = ("preprocess", "preprocessing", "pretrained_cfg", "data_config", "transforms")


def normalised(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return `arch`, `arch_args`, `classes` and `preprocess`, where given, and other plain values unchanged."""
    found = {key: value for key, value in said.items() if isinstance(value, str | int | float | bool)}
    for name in (*_ARCH, *_ARGUMENTS, *_CLASSES, *_RECIPES):
        found.pop(name, None)
    places = list(_places(said))
    named = {
        "arch": _first(places, _ARCH, _name) or _first(places, ("model",), _name),
        "arch_args": _first(places, _ARGUMENTS, arguments),
        "classes": _first(places, _CLASSES, class_names),
        "preprocess": _first(places, _RECIPES, _recipe) or declared_preprocessing.of_timm(said),
    }
    return found | {key: value for key, value in named.items() if value}


def mapping(value: object) -> Mapping[str, Any] | None:
    """Return a mapping, or the entries or attributes of an object of settings; None for anything else."""
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, StandIn) and not module_state.is_module(value):
        value = _settings(value) or None
    return value if isinstance(value, Mapping) else None


def _settings(value: StandIn) -> Mapping[Any, Any]:
    """Return the entries of an object of settings; OmegaConf keeps them, and each value, in an attribute."""
    inside = value.attributes.get("_content")
    if not isinstance(inside, Mapping):
        return value.entries or value.attributes
    return {k: v.attributes.get("_val", v) if isinstance(v, StandIn) else v for k, v in inside.items()}


def class_names(value: object) -> tuple[str, ...] | None:
    """Return class names in the order of their indices; None if the value does not hold one for each index.

    The value is a list, a mapping from index to name, or one from name to index.
    """
    if isinstance(value, list | tuple):
        return tuple(value) if value and all(isinstance(v, str) for v in value) else None
    if not isinstance(value, Mapping) or not value:
        return None
    pairs = [(k, v) for k, v in value.items() if isinstance(v, str)] or [(v, k) for k, v in value.items()]
    if not all(isinstance(part, str | int | float) for pair in pairs for part in pair):
        return None
    try:
        by_index = {int(index): str(name) for index, name in pairs}
    except (ValueError, OverflowError):  # not a number, or infinite
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
    return value.strip() if isinstance(value, str) and value.strip() and len(value) <= _LONGEST else None


def arguments(value: object) -> dict[str, Any] | None:
    """Return the arguments of a builder: text, numbers, and short lists and tuples of these."""
    said = mapping(value)
    if said is None:
        return None
    return {str(k): v for k, v in said.items() if _is_sane(v)}


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
        return {key: _plain(entry) for key, entry in said.items()}
    return declared_preprocessing.of_timm(said)


def _plain(value: object) -> Any:
    """Return a number, text or a short list of numbers; the name of its type for anything else, which is refused."""
    if value is None or isinstance(value, int | float) or (isinstance(value, str) and len(value) <= _LONGEST):
        return value
    if isinstance(value, list | tuple) and len(value) <= _LONGEST and all(isinstance(v, int | float) for v in value):
        return list(value)
    return f"<{type(value).__name__}>"
