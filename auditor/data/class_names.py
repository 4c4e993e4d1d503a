"""The file of class names, one for each output of the network."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.errors import DataError
from auditor.process.regular_files import content

_INDEX = re.compile(r"\d{1,9}", re.ASCII)
_LARGEST = 2**26  # bytes


def class_names(path: Path) -> tuple[str, ...]:
    """Return the names in a file, by index.

    The file is text with one name on each line, or JSON: a list, an object from index to name, or one from
    name to index. If a name is a list, as in ImageNet's `[id, name]`, its last item is the name.

    Raises:
        DataError: The file can't be read, or does not name every class once.
    """
    text = _text(path)
    names = _from_json(path, text) if path.suffix.lower() == ".json" else [line.strip() for line in text.splitlines()]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise DataError(f"class names {path}: the file has no names; expected one name on each line, or JSON")
    if "" in names:
        raise DataError(f"class names {path}: class {names.index('')} has no name")
    return tuple(names)


def _text(path: Path) -> str:
    try:
        return content(path, most=_LARGEST).decode("utf-8-sig")
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
    if isinstance(value, Mapping):
        value = _by_index(path, value)
    if not isinstance(value, list):
        raise DataError(f"class names {path}: expected a list of names or an object, got {str(value)[:40]!r}")
    return [_name(path, index, item) for index, item in enumerate(value)]


def _by_index(path: Path, value: Mapping[str, Any]) -> list[Any]:
    """Return the names in order, from `index: name` or from `name: index`."""
    if value and all(_is_index(item) for item in value.values()):
        pairs = [(index, name) for name, index in value.items()]
    elif all(_INDEX.fullmatch(key) for key in value):
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
