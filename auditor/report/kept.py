"""The report that a new one replaces, kept beside the output folder as `NAME~1`."""

from __future__ import annotations

import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path

from auditor.report import journal, manifest
from auditor.report.manifest import RECORD


def keep(folder: Path) -> Path | None:
    """Move the report that was set aside in `folder` to `NAME~1`, and return that folder; None if there is none.

    An older report in `NAME~1` is removed: one is kept. A folder of this name with anything else in it stays as it is,
    and the next number is used. Where the folder above can't be written, nothing is kept.
    """
    old = journal.previous(folder)
    if old is None:
        return None
    with suppress(OSError):
        target = _free(folder.absolute())
        if target.exists():
            shutil.rmtree(target)
        old.rename(target)
        return target if folder.is_absolute() else folder.parent / target.name
    return None


def _free(folder: Path) -> Path:
    """Return the first `NAME~N` that is not there, or is a report and nothing else."""
    candidates = (folder.with_name(f"{folder.name}~{number}") for number in count(1))
    return next(path for path in candidates if not path.is_symlink() and (not path.exists() or _is_report(path)))


def _is_report(path: Path) -> bool:
    return path.is_dir() and manifest.is_record(path / RECORD) and set(manifest.files(path)) == manifest.ours(path)
