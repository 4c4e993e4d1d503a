"""Convert values from flags and TOML files to the types that a signature declares."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from auditor.errors import UsageError

_PLAIN = (bool, int, float, str)
_WHOLE = re.compile(r"[-+]?\d{1,30}", re.ASCII)
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Range:
    """Inclusive bounds of a number: `Annotated[int, Range(1)]`."""

    low: float = -math.inf
    high: float = math.inf

    def __str__(self) -> str:
        low, high = (str(end) if isinstance(end, int) else f"{end:g}" for end in (self.low, self.high))
        if math.isinf(self.high):
            return f"at least {low}"
        return f"at most {high}" if math.isinf(self.low) else f"from {low} to {high}"


def understands(kind: Any) -> bool:
    """Return whether `coerce` can convert text to this type."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return understands(inside[0])
    if origin in (Union, UnionType):
        return all(understands(k) for k in inside)
    if origin is tuple:
        return len(inside) == 2 and inside[1] is Ellipsis and understands(inside[0])
    return origin is Literal or kind is NoneType or kind in _PLAIN


def describe(kind: Any) -> str:
    """Return a type in words: `a whole number, at least 1`."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        bounds = [str(b) for b in inside[1:] if isinstance(b, Range)]
        return ", ".join([describe(inside[0]), *bounds])
    if origin in (Union, UnionType):
        return " or ".join(describe(k) for k in inside)
    if origin is tuple:
        return f"a list, each {describe(inside[0])}"
    if origin is Literal:
        return " or ".join(repr(v) for v in inside)
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text", NoneType: "'none'"}[kind]


def coerce(name: str, value: object, kind: Any) -> Any:
    """Return `value` as the type `kind`; text is parsed, any other value must already have the type.

    Raises:
        UsageError: The value has another type or is out of range. The message names the value and the type.
    """
    try:
        return _coerced(value, kind)
    except ValueError:
        raise UsageError(f"{name} is {value!r}, but has to be {describe(kind)}") from None


def _coerced(value: object, kind: Any) -> Any:
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _in_range(_coerced(value, inside[0]), inside[1:])
    if origin in (Union, UnionType):
        return _first_that_fits(value, inside)
    if origin is tuple:
        return tuple(_coerced(v, inside[0]) for v in _listed(value))
    if origin is Literal:
        return _one_of(value, inside)
    return _PARSERS[kind](value)


def _in_range(value: Any, bounds: tuple[Any, ...]) -> Any:
    for bound in bounds:
        if isinstance(bound, Range) and not bound.low <= value <= bound.high:
            raise ValueError
    return value


def _first_that_fits(value: object, kinds: tuple[Any, ...]) -> Any:
    for kind in kinds:
        try:
            return _coerced(value, kind)
        except ValueError:
            continue
    raise ValueError


def _listed(value: object) -> list[object]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, list | tuple) else [value]


def _one_of(value: object, allowed: tuple[Any, ...]) -> Any:
    for candidate in allowed:
        if value == candidate and isinstance(value, bool) == isinstance(candidate, bool):
            return candidate
        if isinstance(value, str) and value == str(candidate):
            return candidate
    raise ValueError


def _bool(value: object) -> bool:
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    if isinstance(value, bool):
        return value
    raise ValueError


def _int(value: object) -> int:
    if isinstance(value, str) and not _WHOLE.fullmatch(value.strip()):
        raise ValueError
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return int(value)
    raise ValueError


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    if isinstance(value, str) and (not value.isascii() or "_" in value):
        raise ValueError
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond all floating-point numbers
        raise ValueError from None
    if math.isnan(number):
        raise ValueError
    return number


def _str(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError


def _none(value: object) -> None:
    if value is not None and value not in ("none", "None"):
        raise ValueError


_PARSERS = {bool: _bool, int: _int, float: _float, str: _str, NoneType: _none}
