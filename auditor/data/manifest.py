"""A manifest: a text file with images and their labels, as a table or as JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from auditor.data import encodings, label_columns, separators, table
from auditor.data.assumption import Assumption
from auditor.data.label_cells import Several, mark, of_cell, of_marks, of_value
from auditor.data.label_columns import Columns
from auditor.errors import DataError
from auditor.language import _, short
from auditor.process.regular_files import content

TABLES: Final = (".csv", ".tsv", ".jsonl", ".ndjson")
"""Suffixes of manifests that nothing else has."""

SUFFIXES: Final = (*TABLES, ".txt", ".lst")

_LONGEST_PATH: Final = 4096
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LARGEST: Final = 2**30  # bytes
_SAMPLED: Final = 1000  # rows that tell what the columns are

Label = str | int | Several | None


class Entry(NamedTuple):
    """One image of a manifest; the path is not resolved."""

    path: str
    label: Label


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says.

    Attributes:
        splits: The part of the data that each entry belongs to; () if the manifest doesn't say.
        numbers: The number of each class that the manifest gives, in columns of its own or by their order.
        assumptions: What was assumed about the form of the file.
    """

    entries: tuple[Entry, ...]
    splits: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()


class _Row(NamedTuple):
    entry: Entry
    number: str = ""
    split: str = ""


def read(path: Path, *, found: bytes | None = None) -> Manifest:
    """Return the entries in the order of the file.

    A table may begin with a header that names its columns; without a header they are path and label. A JSON line is
    an object with these keys, or a list of path and label. A missing or empty label is None. A list of labels, and
    columns of 0 and 1 in place of one label, are `Several`.

    Args:
        found: The contents of the manifest where it is not a file; `path` is then its name in messages.

    Raises:
        DataError: The file can't be read, a line is not an entry, or there are no entries.
    """
    text, encoding = _text(path, found)
    said = [Assumption(_("the manifest is read as {encoding}", encoding=encoding))] if encoding else []
    classes: tuple[str, ...] = ()
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        rows = list(_json_lines(path, text))
    else:
        rows, classes = _table(path, text, said)
    if not rows:
        raise DataError(f"manifest {path} has no images; expected lines of path,label")
    splits = tuple(row.split for row in rows)
    numbers = {name: place for place, name in enumerate(classes)} if classes else _numbers(path, rows)
    return Manifest(tuple(row.entry for row in rows), splits if any(splits) else (), numbers, tuple(said))


def _text(path: Path, found: bytes | None) -> encodings.Text:
    try:
        return encodings.any_text(content(path, most=_LARGEST) if found is None else found)
    except UnicodeDecodeError as error:
        raise DataError(f"manifest {path} is not UTF-8 text: byte {error.start} is not valid") from error
    except OSError as error:
        raise DataError(f"manifest {path} can't be read: {error.strerror}") from error


def _table(path: Path, text: str, said: list[Assumption]) -> tuple[list[_Row], tuple[str, ...]]:
    mark = separators.separator(text)
    lines = list(table.rows(path, text, mark))
    if not lines:
        return [], ()
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    if mark != usual and len(lines[0].cells) > 1:
        said.append(Assumption(_("its cells are separated by {mark}", mark=separators.NAMES[mark])))
    columns, is_header = _columns(path, [line.cells for line in lines[:_SAMPLED]])
    said += _said(columns, is_header, lines[0].cells)
    return [_row(path, line, columns) for line in lines[is_header:]], columns.classes


def _columns(path: Path, rows: Sequence[Sequence[str]]) -> tuple[Columns, bool]:
    """Return the columns, and whether the first row is a header."""
    first, rest = rows[0], rows[1:]
    if label_columns.is_header(first) or _begins_above(first, rest):
        try:
            return label_columns.columns(first, rest), True
        except LookupError as error:
            raise DataError(f"manifest {path} has no column {error}") from None
    if len(first) > 2:
        raise DataError(f"manifest {path} has {len(first)} columns and no header; expected path,label or a header")
    if len(first) == 2 and label_columns.is_image(first[1]) and not label_columns.is_image(first[0]):
        return Columns(1, 0), False
    return Columns(0, 1 if len(first) > 1 else None), False


def _begins_above(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Return whether a column of image files begins below the first row."""
    return bool(rest) and not any(map(label_columns.is_image, first)) and any(map(label_columns.is_image, rest[0]))


def _said(columns: Columns, is_header: bool, first: Sequence[str]) -> Iterator[Assumption]:
    if not is_header and columns.label is not None:
        order = _("path, label") if columns.path == 0 else _("label, path")
        yield Assumption(_("it has no header: the columns are {order}", order=order))
    if columns.eliminated:
        yield Assumption(_("the labels are those of the column {name!r}", name=columns.eliminated))
    if columns.number is not None and columns.label is not None:
        number, label = first[columns.number].strip(), first[columns.label].strip()
        yield Assumption(_("the column {number!r} numbers the classes of {label!r}", number=number, label=label))
    if columns.hot:
        yield Assumption(
            _(
                "{n} columns of 0 and 1 are the classes, in their order: {first!r} is 0",
                n=len(columns.hot),
                first=columns.classes[0],
            )
        )


def _row(path: Path, line: table.Line, columns: Columns) -> _Row:
    where = f"manifest {path}, line {line.number}"
    image = line.cell(columns.path)
    if not image:
        raise DataError(f"{where} has no path: {','.join(line.cells)!r}")
    entry = Entry(_possible(where, image), _label(where, line, columns))
    return _Row(entry, line.cell(columns.number), line.cell(columns.split))


def _label(where: str, line: table.Line, columns: Columns) -> Label:
    if not columns.hot:
        return of_cell(line.cell(columns.label))
    marks: dict[str, bool | None] = {}
    for place, name in zip(columns.hot, columns.classes, strict=True):
        try:
            marks[name] = mark(line.cell(place))
        except TypeError:
            what = f"{line.cell(place)[:80]!r} in the column {name!r}"
            raise DataError(f"{where} has {what}; expected 0 or 1, or nothing where it is unknown") from None
    return of_marks(marks)


def _numbers(path: Path, rows: Sequence[_Row]) -> dict[str, int]:
    """Return the number of each class.

    Raises:
        DataError: A class has two numbers.
    """
    numbers: dict[str, int] = {}
    for row in rows:
        if row.number.isdecimal() and isinstance(row.entry.label, str):
            number = int(row.number[:9])
            if numbers.setdefault(row.entry.label, number) != number:
                both = f"{numbers[row.entry.label]} and {number}"
                raise DataError(f"manifest {path} numbers the class {row.entry.label!r} twice: {both}")
    return numbers


def _json_lines(path: Path, text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _json_row(f"manifest {path}, line {number}", line)


def _json_row(where: str, line: str) -> _Row:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON: {error}") from error
    image, label, split = _picked(value)
    if isinstance(image, int) and not isinstance(image, bool):
        image = str(image)
    if not isinstance(image, str) or not image:
        raise DataError(f'{where} has no path; expected {{"path": "...", "label": "..."}}, got {line.strip()[:80]}')
    try:
        return _Row(Entry(_possible(where, image), of_value(label)), split=str(split or ""))
    except TypeError:
        raise DataError(
            f"{where} has the label {label!r}; expected a name or a class index, or a list of these"
        ) from None


def _possible(where: str, image: str) -> str:
    """Return the path of an image; refuse one that no file can have."""
    reason = "a NUL character" if "\0" in image else ""
    if len(image) > _LONGEST_PATH:
        reason = f"{len(image):,} letters"
    elif _SURROGATE.search(image):
        reason = "half a pair of characters"
    if reason:
        raise DataError(f"{where} has a path with {reason}: {short(image, 80)!r}; expected the path of an image")
    return image


def _picked(value: Any) -> tuple[Any, Any, Any]:
    """Return path, label and split of a JSON line."""
    if isinstance(value, Mapping):
        keys = {label_columns.plain(str(key)): item for key, item in value.items()}
        usual = (label_columns.PATHS, label_columns.LABELS, label_columns.SPLITS)
        image, label, split = (next((keys[name] for name in names if name in keys), None) for names in usual)
        return image, label, split
    if isinstance(value, list) and len(value) in (1, 2):
        return value[0], value[1] if len(value) == 2 else None, None
    return value if isinstance(value, str) else None, None, None
