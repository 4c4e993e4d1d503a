"""The output folder: a new report replaces an old one completely, or not at all."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auditor.errors import OutputError

RECORD = "audit.json"
_REPORTS = ("report.html", "report.pdf", "summary.pdf", "junit.xml", "summary.md", "report.sarif")
NAMES = (*_REPORTS, "evidence", "arrays", RECORD)
"""The files and folders that an audit writes. It never touches anything else in the folder."""


def arrays_file(folder: Path, check: str) -> Path:
    """Return the path of a check's arrays in the folder of a report."""
    return folder / "arrays" / f"{re.sub(r'[^A-Za-z0-9_-]', '-', check)}.safetensors"


@contextmanager
def staged(folder: Path, *, replaces: tuple[str, ...] = NAMES) -> Iterator[Path]:
    """Provide an empty folder whose contents move into `folder` if the block succeeds.

    Files of an older report in `folder` whose names are in `replaces` are removed, even if the new report has no such
    file. The record moves last, so a folder with a record holds a complete report.

    Raises:
        OutputError: The folder can't be written, or contains files of these names that no audit wrote.
    """
    made = not folder.exists()
    try:
        _refuse_foreign(folder)
        folder.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".auditor-", dir=folder))
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        yield stage
        _move_in(stage, folder, replaces)
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if made and not any(folder.iterdir()):
            folder.rmdir()


def _refuse_foreign(folder: Path) -> None:
    foreign = [name for name in NAMES if (folder / name).exists()]
    if foreign and not _is_record(folder / RECORD):
        raise OutputError(
            f"{folder} contains {foreign[0]!r} but no {RECORD} of an audit, so no audit wrote it: "
            "choose another folder or remove it"
        )


def _is_record(path: Path) -> bool:
    """Return whether a file is the record of an audit, complete or damaged."""
    try:
        beginning = path.read_text(encoding="utf-8", errors="replace")[:400]
    except OSError:
        return False
    return '"schema"' in beginning and '"verdict"' in beginning


def _move_in(stage: Path, folder: Path, replaces: tuple[str, ...]) -> None:
    fresh = sorted(stage.iterdir(), key=lambda path: path.name == RECORD)
    old = Path(tempfile.mkdtemp(prefix=".old-", dir=stage))
    for name in sorted(replaces, key=lambda name: name != RECORD):
        if (folder / name).exists() or (folder / name).is_symlink():
            (folder / name).rename(old / name)
    for path in fresh:
        _merge(path, folder / path.name)


def _merge(source: Path, target: Path) -> None:
    """Move a file over one of the same name; merge a folder into one of the same name."""
    if source.is_dir() and target.is_dir():
        for path in sorted(source.iterdir()):
            _merge(path, target / path.name)
    else:
        source.replace(target)


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"can't write into {folder}: {error.strerror or error}; choose another folder with --out")
