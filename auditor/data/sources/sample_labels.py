"""The label of a sample of a WebDataset: a small file beside the image.

Files whose names differ only after the first dot are one sample: an image, and its label as `.cls` (a number), `.json`
(an object) or `.txt` (a name).
"""

from __future__ import annotations

import json
from typing import Any, Final

from auditor.data.label_cells import of_value
from auditor.data.manifest import Label

RANKS: Final = {".cls": 3, ".json": 2, ".txt": 1}
"""Which of several labels of a sample is meant, by suffix: the one of the highest rank."""

LONGEST: Final = {".cls": 4096, ".txt": 4096, ".json": 2**20}
"""The largest number of bytes of a label, by suffix."""

_KEYS: Final = ("label", "labels", "cls", "class", "class_id", "class_name", "target", "category", "y")
_LONGEST_NAME: Final = 100


def sample_key(name: str) -> str:
    """Return what the names of all files of a sample have in common."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition('.')[0]}"


def label_of(suffix: str, found: bytes) -> Label:
    """Return the label in a file beside an image; None if it has none."""
    text = found.decode("utf-8-sig", "replace").strip()
    if suffix == ".json":
        return _label_in(text)
    if suffix == ".cls":
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text[:_LONGEST_NAME] or None
    return text if 0 < len(text) <= _LONGEST_NAME and text.isprintable() else None


def _label_in(text: str) -> Label:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, dict):
        keys = {str(key).lower(): value for key, value in found.items()}
        found = next((keys[key] for key in _KEYS if key in keys), None)
    if isinstance(found, list):
        return _several(found)
    if isinstance(found, bool) or not isinstance(found, str | int):
        return None
    return found[:_LONGEST_NAME] or None if isinstance(found, str) else found


def _several(found: list[Any]) -> Label:
    """Return the labels of a list; None for a list of something else, or of too long names."""
    if any(isinstance(item, str) and len(item) > _LONGEST_NAME for item in found):
        return None
    try:
        return of_value(found)
    except TypeError:
        return None
