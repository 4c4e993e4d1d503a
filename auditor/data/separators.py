"""The character that separates the cells of a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Final

from auditor.data import label_columns

NAMES: Final = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'", " ": "spaces"}

_LOOKED_AT: Final = 20  # lines


def separator(text: str) -> str:
    """Return the character that separates the cells of the first lines.

    Candidates give every line the same number of cells, at least two. Among them those are preferred whose header
    names columns, or that give a column of image files. A comma comes first.
    """
    lines = [line for line in text[:100_000].splitlines() if line.strip()][:_LOOKED_AT]
    scores = {mark: _score(lines, mark) for mark in ",;\t|"}
    best = max(scores, key=lambda mark: scores[mark])
    if scores[best] > 0:
        return best
    if lines and all(_ends_with_label(line) for line in lines):
        return " "
    return next((mark for mark in ",;\t|" if lines and mark in lines[0]), ",")


def spaced(line: str) -> list[str]:
    """Return path and label of a line `path label`; spaces belong to the path, except for the last one."""
    path, _, label = line.strip().rpartition(" ")
    return [path.strip(), label]


def _score(lines: Sequence[str], mark: str) -> int:
    """Return 0 if the lines are no table, and more the more surely they are one."""
    try:
        rows = list(csv.reader(io.StringIO("\n".join(lines), newline=""), delimiter=mark, strict=True))
    except csv.Error:
        return 0
    widths = {len(row) for row in rows}
    if len(widths) != 1 or widths == {1}:
        return 0
    images = any(all(label_columns.is_image(cell) for cell in column) for column in zip(*rows[1:] or rows, strict=True))
    return 1 + images + 2 * label_columns.is_header(rows[0])


def _ends_with_label(line: str) -> bool:
    path, label = spaced(line)
    return label_columns.is_image(path) and not label_columns.is_image(label)
