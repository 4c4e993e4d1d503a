"""An audit in another language than the one that it was made in.

`audit.json` keeps, beside each text, how it was made: the message and its values. A text without a recipe, for example
of a plugin that does not use the catalogue, stays as it was written, and so do the words that are drawn in pictures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from auditor.language import Message, again, packed, speaking, unpacked
from auditor.results import Audit

_SENTENCES = (
    *("question", "guide", "source", "message", "detail", "title", "caption", "alt", "label", "columns", "rows"),
    *("summary", "measured", "advice", "false_alarms"),
)
_FACTS = ("notes", "source", "reason")

Place = tuple[str | int, ...]


def recipes(document: Any) -> dict[str, Any]:
    """Return how the messages in a document were made: each recipe once, and where its text stands."""
    numbers: dict[str, int] = {}
    places = {
        json.dumps(place): numbers.setdefault(json.dumps(packed(message.recipe)), len(numbers))
        for place, message in _messages(document, ())
        if message.recipe and _is_translatable(list(place))
    }
    return {"recipes": [json.loads(recipe) for recipe in numbers], "places": places}


def restored(document: Any) -> Any:
    """Return a document that was read, its texts with their recipes; a place or recipe that does not fit is ignored."""
    known = document.get("translation") if isinstance(document, dict) else None
    if isinstance(known, dict) and isinstance(known.get("places"), dict) and isinstance(known.get("recipes"), list):
        made = [_read_or_none(recipe) for recipe in known["recipes"]]
        for place, number in known["places"].items():
            if type(number) is int and 0 <= number < len(made) and isinstance(made[number], dict):
                _restore(document, place, made[number])
    return document


def in_language(audit: Audit, language: str) -> Audit:
    """Return the audit in another language."""
    if audit.provenance.language == language:
        return audit
    with speaking(language):
        translated: Audit = _again(audit)
    return replace(translated, provenance=replace(translated.provenance, language=language))


def is_possible(audit: Audit) -> bool:
    """Return whether the audit knows how its texts were made; those of older versions don't."""
    return not audit.results or any(isinstance(result.question, Message) for result in audit.results)


def _messages(value: Any, place: Place) -> Iterator[tuple[Place, Message]]:
    if isinstance(value, Message):
        yield place, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _messages(inner, (*place, str(key)))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _messages(inner, (*place, index))


def _restore(document: Any, place: str, recipe: Any) -> None:
    try:
        *path, last = json.loads(place)
        for step in path:
            document = document[step]
        if type(document[last]) is str and isinstance(document, dict | list) and _is_translatable([*path, last]):
            document[last] = Message(document[last], recipe)
    except (LookupError, TypeError, ValueError, RecursionError):
        return


def _is_translatable(place: list[Any]) -> bool:
    """Return whether sentences stand there: a file must not change names, digests, rules or dates by a recipe."""
    named = [step for step in place if isinstance(step, str)]
    if place[:1] == ["results"]:
        return named[-1] in _SENTENCES or named[-2:-1] == ["rules"]
    return place[:1] == ["provenance"] and named[-1] in _FACTS


def _read_or_none(recipe: Any) -> Any:
    try:
        return unpacked(recipe)
    except (ValueError, RecursionError):
        return None


def _again(value: Any) -> Any:
    if isinstance(value, str):
        return again(value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _again(getattr(value, field.name)) for field in fields(value)})
    if isinstance(value, Mapping):
        return {key: _again(inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_again(inner) for inner in value)
    return value
