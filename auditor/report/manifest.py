"""Which files in an output folder an audit wrote.

`audit.json` lists them. Nothing else in the folder is ever replaced or removed. A report of a version that kept no list
has the fixed names, and the pictures that its `audit.json` names.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from auditor.process.regular_files import content, opened

RECORD = "audit.json"
REPORTS = ("report.html", "report.pdf", "summary.pdf", "junit.xml", "summary.md", "report.sarif")
FOLDERS = ("evidence", "arrays")

_LARGEST = 2**30  # bytes
_BEFORE, _AFTER = b'\n "files": ', b"\n}\n"


def ours(folder: Path) -> frozenset[str]:
    """Return the files in a folder that an audit wrote, as paths relative to it; none if it holds no report."""
    return frozenset(name for name in _listed(folder) if is_inside(folder, name) and _is_file(folder / name))


def files(folder: Path) -> list[str]:
    """Return all files in a folder, as sorted paths relative to it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if _is_file(path))


def is_inside(folder: Path, name: str) -> bool:
    """Return whether a relative path stays in the folder: not by `..`, not by a link, not in a hidden folder.

    The list may come from a stranger's `audit.json`, and what it names is removed.
    """
    path = PurePosixPath(name)
    if not name or "\0" in name or "\\" in name or path.is_absolute() or ".." in path.parts:
        return False
    above = [folder / parent for parent in path.parents if parent != PurePosixPath(".")]
    return not any(parent.name.startswith(".") or parent.is_symlink() for parent in above)


def clashes(folder: Path, name: str, mine: Collection[str]) -> bool:
    """Return whether a file of this name can't be written without touching what no audit wrote."""
    if name in mine:
        return False
    above = [folder / parent for parent in PurePosixPath(name).parents if parent != PurePosixPath(".")]
    return _exists(folder / name) or any(_exists(parent) and _is_file(parent) for parent in above)


def list_files(record: Path, names: Collection[str]) -> None:
    """Write the list of files into an `audit.json`, in place of the one that it has."""
    whole = record.read_bytes()
    head, found, _ = whole.rpartition(_BEFORE)
    if not found:
        head = whole.removesuffix(_AFTER) + b","
    record.write_bytes(head + _BEFORE + json.dumps(sorted(names)).encode() + _AFTER)


def has_list(record: Path) -> bool:
    """Return whether an `audit.json` ends in the list of files, as this version writes it."""
    return _BEFORE in _content(record)


def is_record(record: Path) -> bool:
    """Return whether a file is the record of an audit, complete or damaged."""
    try:
        with opened(record) as file:
            return _begins_as_record(file.read(400))
    except (OSError, ValueError):
        return False


def _begins_as_record(whole: bytes) -> bool:
    return b'"schema"' in whole[:400] and b'"verdict"' in whole[:400]


def _listed(folder: Path) -> Collection[str]:
    whole = _content(folder / RECORD)
    if not _begins_as_record(whole):
        return ()
    try:
        return _listed_at_the_end(whole) or _listed_anywhere(json.loads(whole), folder)
    except (ValueError, RecursionError):
        return (*REPORTS, RECORD, *_arrays(folder))


def _listed_at_the_end(whole: bytes) -> Collection[str]:
    """Return the list without reading the rest, which may be large; nothing if somebody laid the file out anew."""
    _, found, tail = whole.rpartition(_BEFORE)
    if not found:
        return ()
    return _texts(json.JSONDecoder().raw_decode(tail.decode())[0])


def _listed_anywhere(document: Any, folder: Path) -> Collection[str]:
    if not isinstance(document, dict):
        return ()
    named = _texts(document.get("files"))
    return {*named, RECORD} if named else {*REPORTS, RECORD, *_arrays(folder), *_pictures(document)}


def _pictures(document: Any) -> Iterator[str]:
    """Yield every text of an older `audit.json` that is a path of a picture."""
    left = [document.get("results")]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += [inner for name, inner in value.items() if name in ("evidence", "items", "file", "image")]
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str) and value.startswith("evidence/"):
            yield value


def _arrays(folder: Path) -> list[str]:
    return [f"arrays/{path.name}" for path in (folder / "arrays").glob("*.safetensors")]


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _content(file: Path) -> bytes:
    try:
        return content(file, most=_LARGEST)
    except (OSError, ValueError):
        return b""


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def _is_file(path: Path) -> bool:
    """Return whether there is something at this path other than a folder; a link is not followed."""
    try:
        return not stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False
