"""The output folder: a new report takes the place of an old one whole, or not at all."""

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
"""What an audit writes. Nothing else in the folder is ever touched."""


def arrays_file(folder: Path, check: str) -> Path:
    """Return where a check's arrays lie in the folder of a report."""
    return folder / "arrays" / f"{re.sub(r'[^A-Za-z0-9_-]', '-', check)}.safetensors"


@contextmanager
def staged(folder: Path, *, replaces: tuple[str, ...] = NAMES) -> Iterator[Path]:
    """Hand out an empty folder whose contents move into `folder` when the block ends well.

    Those of `replaces` that lie in `folder` from an older report make way, also where the new one
    has no such file. The record moves last, so that a folder with a record holds a whole report.

    Raises:
        OutputError: The folder can't be written, or holds files of these names that no audit wrote.
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
            f"{folder} holds {foreign[0]!r} but no {RECORD} of an audit, so no audit wrote it: "
            "choose another folder or remove it"
        )


def _is_record(path: Path) -> bool:
    """Return whether a file is the record of an audit, whole or damaged."""
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
    """Move a file over its namesake; of a folder that is already there, move what is inside."""
    if source.is_dir() and target.is_dir():
        for path in sorted(source.iterdir()):
            _merge(path, target / path.name)
    else:
        source.replace(target)


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"can't write into {folder}: {error.strerror or error}; choose another folder with --out")
