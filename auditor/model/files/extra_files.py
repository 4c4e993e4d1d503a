"""The extra files in an archive of TorchScript or torch.export: what `_extra_files` and `extra_files` saved with it."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

from auditor.process import regular_files

_MOST: Final = 16
_LARGEST: Final = 16 * 2**20  # bytes of one
_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, struct.error, OSError, ValueError, RuntimeError, EOFError)


def read(path: Path) -> dict[str, Any]:
    """Return what the extra files say: JSON as its value, other text as it is, by the names of the files.

    A mapping counts as several values by name. What can't be read is left out: it is no part of the program.
    """
    try:
        with regular_files.opened(path) as file, zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if _is_extra(entry)][:_MOST]
            values = {Path(entry.filename).stem: _read(archive, entry) for entry in entries}
    except _DAMAGED:
        return {}
    inside = [value for value in values.values() if isinstance(value, dict)]
    return {key: value for one in [*inside, values] for key, value in one.items() if value is not None}


def _is_extra(entry: zipfile.ZipInfo) -> bool:
    parts = entry.filename.split("/")
    return len(parts) > 2 and parts[1] == "extra" and bool(parts[-1]) and entry.file_size <= _LARGEST


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Any:
    """Return a value of JSON or a text; None for what is neither."""
    try:
        text = archive.open(entry).read(_LARGEST).decode("utf-8")
    except _DAMAGED:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
