"""A manifest: a text file with images and their labels, as CSV or as JSON lines."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from auditor.errors import DataError, did_you_mean
from auditor.language import short
from auditor.process.regular_files import content

SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".ndjson")

_LONGEST_PATH: Final = 4096
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LARGEST: Final = 2**30  # bytes
_PATH_COLUMNS: Final = ("path", "file", "filename", "file_name", "image", "image_path", "filepath")
_LABEL_COLUMNS: Final = ("label", "class", "class_name", "target", "category", "y")

Label = str | int | None


class Entry(NamedTuple):
    """One image of a manifest; the path is not resolved."""

    path: str
    label: Label


def read(path: Path, *, found: bytes | None = None) -> list[Entry]:
    """Return the entries in the order of the file.

    A CSV file may begin with a header that names its columns; without a header they are path and
    label. A JSON line is an object with these keys, or a list of path and label. A missing or empty
    label is None.

    Args:
        found: The contents of the manifest where it is not a file; `path` is then its name in messages.

    Raises:
        DataError: The file can't be read, a line is not an entry, or there are no entries.
    """
    text = _text(path, found)
    lines = _json_lines(path, text) if path.suffix.lower() in (".jsonl", ".ndjson") else _table(path, text)
    entries = list(lines)
    if not entries:
        raise DataError(f"manifest {path} has no images; expected lines of path,label")
    return entries


def _text(path: Path, found: bytes | None) -> str:
    try:
        return (content(path, most=_LARGEST) if found is None else found).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"manifest {path} is not UTF-8 text: byte {error.start} is not valid") from error
    except OSError as error:
        raise DataError(f"manifest {path} can't be read: {error.strerror}") from error


def _table(path: Path, text: str) -> Iterator[Entry]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(path, text), strict=True)
    columns: tuple[int, int] | None = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if columns is None:
                columns, is_header = _columns(path, row)
                if is_header:
                    continue
            yield _row(path, reader.line_num, row, columns)
    except csv.Error as error:
        raise DataError(f"manifest {path}, line {reader.line_num}: {error}") from error


def _delimiter(path: Path, text: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    first = text.lstrip().partition("\n")[0]
    return next((mark for mark in ",;\t" if mark in first), ",")


def _columns(path: Path, row: Sequence[str]) -> tuple[tuple[int, int], bool]:
    """Return the columns of path and label, and whether this first row was a header."""
    names = [cell.strip().lower() for cell in row]
    paths = [names.index(name) for name in _PATH_COLUMNS if name in names]
    labels = [names.index(name) for name in _LABEL_COLUMNS if name in names]
    if paths:
        others = [name for place, name in enumerate(names) if place != paths[0]]
        if others and not labels:
            hint = did_you_mean(others[0], _LABEL_COLUMNS) or "; without labels, give only the paths"
            raise DataError(f"manifest {path} has no column 'label'; its columns are: {', '.join(names)}{hint}")
        return (paths[0], labels[0] if labels else -1), True
    if labels:
        raise DataError(f"manifest {path} has no column 'path'; its columns are: {', '.join(names)}")
    if len(row) > 2:
        raise DataError(f"manifest {path} has {len(row)} columns and no header; expected path,label or a header")
    return (0, 1), False


def _row(path: Path, line: int, row: Sequence[str], columns: tuple[int, int]) -> Entry:
    where, what = columns
    image = row[where].strip() if where < len(row) else ""
    if not image:
        raise DataError(f"manifest {path}, line {line} has no path: {','.join(row)!r}")
    label = row[what].strip() if 0 <= what < len(row) else ""
    return Entry(_possible(f"manifest {path}, line {line}", image), label or None)


def _json_lines(path: Path, text: str) -> Iterator[Entry]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _json_entry(f"manifest {path}, line {number}", line)


def _json_entry(where: str, line: str) -> Entry:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON: {error}") from error
    image, label = _picked(value)
    if not isinstance(image, str) or not image:
        raise DataError(f'{where} has no path; expected {{"path": "...", "label": "..."}}, got {line.strip()[:80]}')
    if isinstance(label, bool) or not isinstance(label, str | int | None):
        raise DataError(f"{where} has the label {label!r}; expected a name or a class index")
    return Entry(_possible(where, image), None if label == "" else label)


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


def _picked(value: Any) -> tuple[Any, Any]:
    if isinstance(value, Mapping):
        keys = {str(key).lower(): item for key, item in value.items()}
        image = next((keys[name] for name in _PATH_COLUMNS if name in keys), None)
        return image, next((keys[name] for name in _LABEL_COLUMNS if name in keys), None)
    if isinstance(value, list) and len(value) in (1, 2):
        return value[0], value[1] if len(value) == 2 else None
    return (value, None)
