"""The labels that a loader gives: numbers, names, or rows of marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.data.label_cells import Several, of_value
from auditor.data.manifest import Label
from auditor.errors import DataError
from auditor.language import short

_MARKS = (0, 1, -1)


def labels_of(given: Sequence[Any], *, several: bool) -> list[Label]:
    """Return the label of each image; a negative number is an unknown label.

    Args:
        given: Numbers, names, lists of them, or rows with a mark for each class: 1 where it applies.
        several: An image may have several labels. Otherwise rows with one mark each are single classes.

    Raises:
        DataError: A label is none of these.
    """
    rows = [row for row in given if isinstance(row, list | tuple)]
    if rows and all(_is_marks(row, len(rows[0])) for row in rows):
        single = not several and all(row.count(1) == 1 and row.count(-1) == 0 for row in rows)
        return [_of_row(row, single=single) for row in given]
    return [_label(one) for one in given]


def _is_marks(row: Sequence[Any], count: int) -> bool:
    return len(row) == count > 1 and all(mark in _MARKS for mark in row)


def _of_row(row: Sequence[Any] | None, *, single: bool) -> Label:
    if row is None:
        return None
    return row.index(1) if single else Several(tuple(int(mark) for mark in row))


def _label(one: Any) -> Label:
    if isinstance(one, bool | float) and int(one) == one:
        one = int(one)
    try:
        found = of_value(one)
    except TypeError:
        raise DataError(
            f"the data give the label {short(repr(one), 80)}; expected a class as a number or a name, or a row of 0 "
            "and 1 with one mark for each class"
        ) from None
    return None if isinstance(found, int) and found < 0 else found
