"""The labels of an image that may have several: a list in a cell or a line, or a column for each label."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

UNKNOWN: Final = "?"
"""A label that says that nothing is known of the image."""

_LONGEST: Final = 65536  # letters of a list in a cell
_YES: Final = frozenset(["1", "1.0", "true", "t", "yes", "y"])
_NO: Final = frozenset(["0", "0.0", "false", "f", "no", "n"])
_BLANK: Final = frozenset(["", "-1", "-1.0", "nan", "na", "n/a", "none", "null", UNKNOWN])


class Several(NamedTuple):
    """The labels of one image, as names or numbers.

    Attributes:
        present: The labels that apply; or a number for each output, 1 where it applies and -1 where that is unknown.
        unknown: The labels of which it is not known whether they apply.
        asked: The names of all columns; () for a list.
    """

    present: tuple[str | int, ...]
    unknown: tuple[str | int, ...] = ()
    asked: tuple[str, ...] = ()


def of_cell(text: str) -> str | int | Several | None:
    """Return the label in a cell, or the labels if it holds a list as JSON or Python write one; None if empty."""
    if text.startswith("[") and text.endswith("]") and len(text) <= _LONGEST:
        for read in (json.loads, ast.literal_eval):
            try:
                return of_value(read(text))
            except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                continue
    return text or None


def of_value(value: Any) -> str | int | Several | None:
    """Return the label in a value of JSON or of Python: a name, a number, a list, or an object of names and marks.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(value, Mapping):
        return of_marks({str(name): mark(_text(item)) for name, item in value.items()})
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return Several(tuple(map(_one, sorted(value, key=str) if isinstance(value, set | frozenset) else value)))
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise TypeError(f"{value!r} is no label")
    return None if value == "" else value


def _one(item: Any) -> str | int:
    if isinstance(item, str):
        return item.strip()
    if item is None:
        return -1
    if isinstance(item, int | float) and int(item) == item:
        return int(item)
    raise TypeError(f"{item!r} is no label")


def _text(item: Any) -> str:
    return "" if item is None else str(item)


def mark(text: str) -> bool | None:
    """Return whether a label applies, by the mark in its column; None if that is unknown.

    Raises:
        TypeError: The text is no mark.
    """
    plain = text.strip().lower()
    if plain in _BLANK:
        return None
    if plain in _YES or plain in _NO:
        return plain in _YES
    raise TypeError(f"{text!r} is neither 0 nor 1")


def of_marks(marks: Mapping[str, bool | None]) -> Several:
    """Return the labels that are marked, from a mark for each."""
    present = tuple(name for name, applies in marks.items() if applies)
    return Several(present, tuple(name for name, applies in marks.items() if applies is None), tuple(marks))


def are_marks(cells: Sequence[str]) -> bool:
    """Return whether the cells of a column are marks, one at least of them neither blank nor unknown."""
    plain = {cell.strip().lower() for cell in cells}
    return plain <= _YES | _NO | _BLANK and bool(plain & (_YES | _NO))
