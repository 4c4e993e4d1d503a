"""The rows of a table in a text file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from auditor.data import separators
from auditor.errors import DataError


class Line(NamedTuple):
    """A row, and the number of its line in the file."""

    number: int
    cells: list[str]

    def cell(self, place: int | None) -> str:
        """Return a cell without spaces around it; empty if there is none."""
        return self.cells[place].strip() if place is not None and place < len(self.cells) else ""


def rows(path: Path, text: str, mark: str) -> Iterator[Line]:
    """Yield the rows that are not empty.

    Raises:
        DataError: The text is no table.
    """
    if mark == " ":
        yield from (Line(i, separators.spaced(line)) for i, line in enumerate(text.splitlines(), 1) if line.strip())
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield Line(reader.line_num, row)
    except csv.Error as error:
        raise DataError(f"manifest {path}, line {reader.line_num}: {error}") from error
