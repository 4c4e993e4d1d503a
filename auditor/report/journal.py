"""Moves of files that survive a crash.

What is to be done is written down and on disk before the first file moves. Whoever opens the folder next finishes it:
every step may be repeated. So there is the state before and the state after, and nothing between them that lasts.

All of this is kept in `.auditor` inside the output folder:

```text
new/            a report while it is written
previous/       the report that an audit replaces, until that audit has written its own
journal.json    moves that have begun
```
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from auditor.process.regular_files import content
from auditor.report.manifest import RECORD, files, is_inside

HIDDEN, NEW, PREVIOUS = ".auditor", "new", "previous"

_JOURNAL, _README = "journal.json", "README.txt"
_LARGEST = 2**26  # bytes of a journal
_AT_ONCE = 16
_EXPLAINED = (
    "Written by auditor. previous/ is the report that lay in the folder above when an audit began there.\n"
    "The audit has not written its own report yet, or it ended without one. An audit that writes one removes this.\n"
)


def hidden(folder: Path) -> Path:
    """Return `.auditor` in a folder, made if needed.

    Raises:
        OSError: It can't be made, or is a link or a file.
    """
    place = folder / HIDDEN
    place.mkdir(exist_ok=True)
    if place.is_symlink():
        raise NotADirectoryError(f"{place} is a link")
    return place


def is_there(folder: Path) -> bool:
    """Return whether a folder has a `.auditor` of its own."""
    place = folder / HIDDEN
    return place.is_dir() and not place.is_symlink()


def previous(folder: Path) -> Path | None:
    """Return the folder of the report that an audit without a report of its own replaced."""
    place = folder / HIDDEN / PREVIOUS
    return place if is_there(folder) and (place / RECORD).exists() and not place.is_symlink() else None


def retire(folder: Path, names: Collection[str]) -> None:
    """Move the files of a report to `previous/`.

    Raises:
        OSError: The folder can't be written.
    """
    place = hidden(folder)
    _cleared(place / PREVIOUS)
    (place / _README).write_text(_EXPLAINED, encoding="utf-8")
    _written_down(place, {"retire": sorted(names)})
    finish(folder)


def replace(folder: Path, remove: Collection[str], add: Collection[str]) -> None:
    """Remove files of a report, and move those of `new/` in.

    Raises:
        OSError: The folder can't be written.
    """
    place = hidden(folder)
    fresh = [place / NEW / name for name in files(place / NEW)]
    with ThreadPoolExecutor(_AT_ONCE) as threads:  # together: one after the other each waits for the disk
        list(threads.map(_synchronised, [*fresh, *{path.parent for path in fresh}]))
    _written_down(place, {"remove": sorted(remove), "add": sorted(add)})
    finish(folder)


def finish(folder: Path) -> None:
    """Finish the moves that are written down, if there are any.

    Raises:
        OSError: The folder can't be written.
    """
    if not is_there(folder):
        return
    place = folder / HIDDEN
    todo = _read(place / _JOURNAL)
    if todo is None:
        return
    for inner in (place / NEW, place / PREVIOUS):
        if inner.is_symlink():
            inner.unlink()
    retired, removed = (_names(todo.get(key), folder, place / PREVIOUS) for key in ("retire", "remove"))
    added = _names(todo.get("add"), folder, place / NEW)
    # the record leaves first and comes last, so a folder with a record holds a complete report
    if (place / NEW / RECORD).exists():
        (folder / RECORD).unlink(missing_ok=True)
    for name in sorted(retired, key=_record_first):
        _moved(folder / name, place / PREVIOUS / name)
    for name in sorted(set(removed) - set(added), key=_record_first):
        (folder / name).unlink(missing_ok=True)
    for name in sorted(added, key=_record_first, reverse=True):
        _moved(place / NEW / name, folder / name)
    _prune(folder, {*retired, *removed})
    for subfolder in _touched(folder, place, retired, removed, added):
        _synchronised(subfolder)
    if "add" in todo:
        _cleared(place / PREVIOUS)
    (place / _JOURNAL).unlink(missing_ok=True)
    _synchronised(place)


def sweep(folder: Path) -> None:
    """Remove what is left of a report that was not completed; keep moves that have begun, and an older report."""
    if not is_there(folder) or (folder / HIDDEN / _JOURNAL).exists():
        return
    place = folder / HIDDEN
    _cleared(place / NEW)
    (place / f"{_JOURNAL}.new").unlink(missing_ok=True)
    if previous(folder) is None:
        _cleared(place / PREVIOUS)
        (place / _README).unlink(missing_ok=True)
    with suppress(OSError):  # not empty
        place.rmdir()


def _written_down(place: Path, todo: dict[str, Any]) -> None:
    unfinished = place / f"{_JOURNAL}.new"
    unfinished.write_text(json.dumps(todo), encoding="utf-8")
    _synchronised(unfinished)
    unfinished.replace(place / _JOURNAL)
    _synchronised(place)


def _read(journal: Path) -> dict[str, Any] | None:
    """Return what is to be done; None if there is no journal, or it is none of ours."""
    try:
        todo = json.loads(content(journal, most=_LARGEST))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        todo = None
    if isinstance(todo, dict):
        return todo
    journal.unlink()
    return None


def _names(value: Any, *folders: Path) -> list[str]:
    """Return the names in a list of the journal that lie inside all folders; a stranger may have written it."""
    texts = [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
    return [name for name in texts if all(is_inside(folder, name) for folder in folders)]


def _record_first(name: str) -> tuple[bool, str]:
    return name != RECORD, name


def _moved(source: Path, target: Path) -> None:
    """Move a file, unless that has been done."""
    if not os.path.lexists(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)


def _prune(folder: Path, names: Iterable[str]) -> None:
    """Remove the folders that are empty now, the innermost first."""
    above = {parent for name in names for parent in PurePosixPath(name).parents if parent != PurePosixPath(".")}
    for parent in sorted(above, key=lambda path: -len(path.parts)):
        with suppress(OSError):
            (folder / parent).rmdir()


def _touched(folder: Path, place: Path, retired: list[str], removed: list[str], added: list[str]) -> list[Path]:
    """Return the folders in which an entry changed."""
    named = [folder / name for name in (*retired, *removed, *added)]
    named += [place / PREVIOUS / name for name in retired]
    return [parent for parent in {folder, *(path.parent for path in named)} if parent.is_dir()]


def _synchronised(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on disk."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cleared(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
