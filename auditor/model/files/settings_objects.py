"""Settings in a checkpoint: plain dicts, and objects of argparse, OmegaConf, Lightning and mmengine by their state."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from auditor.model.files import module_state
from auditor.model.files.stand_in import StandIn


def mapping(value: object) -> Mapping[str, Any] | None:
    """Return a mapping, or the entries or attributes of an object of settings; None for anything else."""
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, StandIn) and not module_state.is_module(value):
        value = _entries(value) or None
    return value if isinstance(value, Mapping) else None


def plain(value: object) -> Any:
    """Return the value that a node of OmegaConf or an enum stands for; its lists and dicts are one level deep."""
    if not isinstance(value, StandIn):
        return value
    if "_val" in value.attributes:
        return value.attributes["_val"]
    inside = value.attributes.get("_content")
    if isinstance(inside, list | tuple):
        return [_node(item) for item in inside]
    if value.items:
        return value.items
    if isinstance(inside, Mapping) or value.entries:
        return _entries(value)
    if isinstance(value.arguments, tuple) and len(value.arguments) == 1:  # an enum is made from its value
        return value.arguments[0]
    return value


def _entries(value: StandIn) -> Mapping[Any, Any]:
    """Return the entries of an object of settings; OmegaConf keeps them, and each value, in an attribute."""
    inside = value.attributes.get("_content")
    if not isinstance(inside, Mapping):
        return value.entries or value.attributes
    return {key: _node(item) for key, item in inside.items()}


def _node(item: Any) -> Any:
    return item.attributes.get("_val", item) if isinstance(item, StandIn) else item
