"""The file of class names, one for each output of the network."""

from __future__ import annotations

import csv
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auditor.data.encodings import unicode
from auditor.errors import DataError
from auditor.process.regular_files import content

_INDEX = re.compile(r"\d{1,9}", re.ASCII)
_LARGEST = 2**26  # bytes


def class_names(path: Path) -> tuple[str, ...]:
    """Return the names in a file, by index.

    The file is text with one name on each line, or `index name`, `index,name` or `name,index` on each; or JSON or
    TOML: a list, an object from index to name, or one from name to index. If a name is a list, as in ImageNet's
    `[id, name]`, its last item is the name.

    Raises:
        DataError: The file can't be read, or does not name every class once.
    """
    text = _text(path)
    read = {".json": _from_json, ".toml": _from_toml}.get(path.suffix.lower(), _from_lines)
    names = read(path, text)
    while names and not names[-1]:
        names.pop()
    if not names:
        raise DataError(f"class names {path}: the file has no names; expected one name on each line, or JSON")
    if "" in names:
        raise DataError(f"class names {path}: class {names.index('')} has no name")
    return tuple(names)


def _from_lines(path: Path, text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    pairs = _pairs(lines)
    return [line.strip() for line in lines] if pairs is None else [_name(path, *pair) for pair in pairs]


def _pairs(lines: Sequence[str]) -> list[tuple[int, str]] | None:
    """Return index and name of each line, sorted; None if the lines are plain names.

    The indices have to be 0 to n-1 or 1 to n, each once, so that no name with a number is taken for one.
    """
    filled = [line for line in lines if line]
    for mark in (",", ";", "\t", ":", " "):
        if not any(_INDEX.fullmatch(cell) for row in _rows(filled[1:2], mark) for cell in row):
            continue
        rows = _rows(filled, mark)
        for index, name in ((0, 1), (1, 0)) if mark != " " else ((0, 1),):
            if found := _numbered(rows, index, name) or _numbered(rows[1:], index, name):
                return found
    return None


def _rows(lines: Sequence[str], mark: str) -> list[list[str]]:
    if mark == " ":
        return [line.split(None, 1) for line in lines]
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=mark, skipinitialspace=True)]
    except csv.Error:
        return []


def _numbered(rows: Sequence[Sequence[str]], index: int, name: int) -> list[tuple[int, str]]:
    if len(rows) < 2 or not all(len(row) == 2 and _INDEX.fullmatch(row[index]) for row in rows):
        return []
    pairs = sorted((int(row[index]), row[name]) for row in rows)
    counted = [number for number, _ in pairs]
    return pairs if counted in (list(range(len(rows))), list(range(1, len(rows) + 1))) else []


def _from_toml(path: Path, text: str) -> list[str]:
    try:
        value: Any = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"class names {path}: the file is not TOML: {error}") from error
    while isinstance(value, Mapping) and len(value) == 1 and isinstance(next(iter(value.values())), Mapping | list):
        value = next(iter(value.values()))  # a table around the names
    return _listed(path, value)


def _text(path: Path) -> str:
    try:
        return unicode(content(path, most=_LARGEST)).text
    except UnicodeDecodeError:
        raise DataError(
            f"class names {path}: the file is not UTF-8 text; expected one name on each line, or JSON"
        ) from None
    except OSError as error:
        raise DataError(f"class names {path}: {error.strerror}") from error


def _from_json(path: Path, text: str) -> list[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"class names {path}: the file is not JSON: {error}") from error
    return _listed(path, value)


def _listed(path: Path, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        value = _by_index(path, value)
    if not isinstance(value, list):
        raise DataError(f"class names {path}: expected a list of names or an object, got {str(value)[:40]!r}")
    return [_name(path, index, item) for index, item in enumerate(value)]


def _by_index(path: Path, value: Mapping[str, Any]) -> list[Any]:
    """Return the names in order, from `index: name` or from `name: index`."""
    if value and all(_is_index(item) for item in value.values()):
        pairs = [(index, name) for name, index in value.items()]
    elif all(_INDEX.fullmatch(str(key)) for key in value):
        pairs = [(int(key), item) for key, item in value.items()]
    else:
        raise DataError(f"class names {path}: neither the keys nor the values of the object are indices")
    pairs.sort(key=lambda pair: pair[0])
    if [index for index, _ in pairs] != list(range(len(pairs))):
        raise DataError(f"class names {path}: {len(pairs)} classes, but the indices are not 0 to {len(pairs) - 1}")
    return [name for _, name in pairs]


def _is_index(item: Any) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)


def _name(path: Path, index: int, item: Any) -> str:
    if isinstance(item, list) and item:
        item = item[-1]
    if not isinstance(item, str):
        raise DataError(f"class names {path}: the name of class {index} is {item!r}; expected text")
    return item.strip()
