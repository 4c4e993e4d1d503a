"""Reading JSON that may have been edited: every value is validated, every error names its place."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Kind = TypeVar("Kind")

_DEEPEST = 100  # objects and lists inside each other
_MOST_DIGITS = 300  # of a whole number: larger ones have no floating-point number beside them

_NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Malformed(ValueError):
    """The document is invalid; the message says where."""


def document(data: bytes | str) -> Any:
    """Return the document in a file.

    Raises:
        ValueError: It is not JSON, is nested too deep, or has a number that is too large.
    """
    try:
        found = json.loads(data, parse_int=_whole)
    except RecursionError:
        raise Malformed("it is nested too deep") from None
    level = [found] if isinstance(found, dict | list) else []
    for _ in range(_DEEPEST):
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
        level = [inner for inner in level if isinstance(inner, dict | list)]
        if not level:
            return found
    raise Malformed(f"it is nested more than {_DEEPEST} levels deep")


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise Malformed(f"a whole number has {len(text)} digits")
    return int(text)


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON object and its place in the document."""

    fields: Mapping[str, Any]
    place: str = ""

    @classmethod
    def of(cls, value: object, place: str) -> Node:
        if not isinstance(value, dict):
            raise Malformed(f"{place or 'the document'} is not an object")
        return cls(value, place)

    def at(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name

    def inside(self, name: str) -> Node:
        return Node.of(self._get(name), self.at(name))

    def each(self, name: str, default: list[Any] | None = None) -> Iterator[Node]:
        for index, value in enumerate(self.items(name, default)):
            yield Node.of(value, f"{self.at(name)}[{index}]")

    def items(self, name: str, default: list[Any] | None = None) -> list[Any]:
        return self._typed(name, list, "a list", default)

    def texts(self, name: str, default: list[str] | None = None) -> tuple[str, ...]:
        found = self.items(name, default)
        if not all(isinstance(text, str) for text in found):
            raise Malformed(f"{self.at(name)} is not a list of texts")
        return tuple(found)

    def wholes(self, name: str, default: list[int] | None = None) -> tuple[int, ...]:
        found = self.items(name, default)
        if not all(type(number) is int for number in found):
            raise Malformed(f"{self.at(name)} is not a list of whole numbers")
        return tuple(found)

    def pair(self, name: str) -> tuple[int, int]:
        found = self.wholes(name)
        if len(found) != 2:
            raise Malformed(f"{self.at(name)} is not a pair")
        return found[0], found[1]

    def text(self, name: str, default: str | None = None) -> str:
        return self._typed(name, str, "text", default)

    def whole(self, name: str, default: int | None = None) -> int:
        return self._typed(name, int, "a whole number", default)

    def flag(self, name: str, default: bool | None = None) -> bool:
        return self._typed(name, bool, "true or false", default)

    def mapping(self, name: str) -> dict[str, Any]:
        return {key: plain(value) for key, value in self._typed(name, dict, "an object", {}).items()}

    def words(self, name: str) -> dict[str, str]:
        found = self.mapping(name)
        if not all(isinstance(text, str) for text in found.values()):
            raise Malformed(f"{self.at(name)} has a value that is not text")
        return found

    def number(self, name: str, default: float | None = None) -> float:
        return number(self._get(name, default), self.at(name))

    def optional_number(self, name: str) -> float | None:
        return None if self.fields.get(name) is None else self.number(name)

    def optional_whole(self, name: str) -> int | None:
        return None if self.fields.get(name) is None else self.whole(name)

    def _typed(self, name: str, kind: type[Kind], words: str, default: Kind | None) -> Kind:
        value = self._get(name, default)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise Malformed(f"{self.at(name)} is not {words}")
        return value

    def _get(self, name: str, default: Any = None) -> Any:
        value = self.fields.get(name, default)
        if value is None:
            raise Malformed(f"{self.at(name)} is missing")
        return value


def number(value: object, place: str) -> float:
    """Return a number; `{"number": "NaN"}` stands for one that is not finite."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"{place} is not a number")
    return value


def plain(value: Any) -> Any:
    """Return a JSON value in which `{"number": "NaN"}` and its like are numbers again."""
    if isinstance(value, dict):
        if value.keys() == {"number"} and value["number"] in _NONFINITE:
            return _NONFINITE[value["number"]]
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def encoded(value: Any) -> Any:
    """Return a value that strict JSON can hold: arrays and tensors as lists, unknown types as text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return _finite(float(value))
    if isinstance(value, int | str):
        return int(value) if isinstance(value, int) else str(value)
    if isinstance(value, Mapping):
        return {str(key): encoded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [encoded(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return [encoded(inner) for inner in sorted(value, key=repr)]
    return encoded(value.tolist()) if hasattr(value, "tolist") else str(value)


def _finite(value: float) -> Any:
    if math.isfinite(value):
        return value
    return {"number": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
