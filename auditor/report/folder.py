"""The output folder: a new report replaces an old one completely, or not at all.

An audit claims the folder, so that no second one writes there. When it begins it sets the older report aside, and if it
ends early no result of another run lies there. A new report is written to a hidden folder and then moved in.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from auditor.errors import OutputError
from auditor.process.folder_lock import Busy, locked
from auditor.report import journal, manifest
from auditor.report.kept import keep
from auditor.report.manifest import FOLDERS, RECORD, REPORTS

NAMES = (*REPORTS, *FOLDERS, RECORD)
"""The files and folders that an audit writes."""


def arrays_file(folder: Path, check: str) -> Path:
    """Return the path of a check's arrays in the folder of a report."""
    return folder / "arrays" / f"{re.sub(r'[^A-Za-z0-9_-]', '-', check)}.safetensors"


class Claim:
    """An output folder into which nobody else writes.

    Attributes:
        saved: Whether a report has been written.
        kept: The folder of the report that it replaced, if that was kept.
    """

    def __init__(self, folder: Path, *, keeps: bool = False) -> None:
        self.folder = folder
        self.saved = False
        self.kept: Path | None = None
        self._keeps = keeps

    def begin(self) -> None:
        """Set an older report aside, because the audit that replaces it begins.

        Raises:
            OutputError: The folder can't be written.
        """
        with _writing(self.folder):
            if names := manifest.ours(self.folder):
                journal.retire(self.folder, names)

    @property
    def taken(self) -> frozenset[str]:
        """The files in `evidence/` that no audit wrote, as paths relative to the output folder."""
        evidence = self.folder / "evidence"
        found = manifest.files(evidence) if evidence.is_dir() else []
        return frozenset(f"evidence/{name}" for name in found) - manifest.ours(self.folder)

    @contextmanager
    def staged(self, *, replaces: frozenset[str] | None = None) -> Iterator[Path]:
        """Provide an empty folder whose contents move into the output folder if the block succeeds.

        Args:
            replaces: The files of the older report that are removed even if there is no new one of that name; None for
                all.

        Raises:
            OutputError: The folder can't be written, or contains a file of the same name that no audit wrote.
        """
        with _writing(self.folder):
            journal.finish(self.folder)
            stage = journal.hidden(self.folder) / journal.NEW
            shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir()
            try:
                yield stage
                self._replace(stage, replaces)
            finally:
                journal.sweep(self.folder)

    def _replace(self, stage: Path, replaces: frozenset[str] | None) -> None:
        mine = manifest.ours(self.folder)
        foreign = [name for name in manifest.files(stage) if manifest.clashes(self.folder, name, mine)]
        for name in foreign:
            (stage / name).unlink()
        names = {*manifest.files(stage)}
        removed = mine if replaces is None else mine & replaces
        self._list_files(stage, mine - removed | names)
        if self._keeps:
            self.kept = keep(self.folder) or self.kept
        journal.replace(self.folder, removed, {*manifest.files(stage)})
        self.saved = True
        if foreign:
            raise _foreign(self.folder, foreign[0])

    def _list_files(self, stage: Path, names: frozenset[str] | set[str]) -> None:
        """List the files in the new record, or in a copy of the old one if this version wrote it."""
        record = stage / RECORD
        if not record.exists():
            old = self.folder / RECORD
            if not manifest.has_list(old) or manifest.ours(self.folder) == names:
                return
            shutil.copyfile(old, record)
        manifest.list_files(record, names)


@contextmanager
def claimed(folder: Path, *, keeps: bool = False) -> Iterator[Claim]:
    """Hold an output folder during the block; finish first what a killed process began there.

    Args:
        keeps: Keep the report that an audit replaces, as `NAME~1`.

    Raises:
        OutputError: The folder can't be written, another audit is writing into it, or it contains files with the names
            of a report that no audit wrote.
    """
    with ExitStack() as held:
        held.callback(_remove_if_empty, _made(folder))
        with _writing(folder):
            held.enter_context(_alone(folder))
            _recover(folder)
            _refuse_foreign(folder)
        try:
            yield Claim(folder, keeps=keeps)
        finally:
            with suppress(OSError):
                _recover(folder)


def refuse_unusable(folder: Path) -> None:
    """Refuse an output folder before an audit starts; leave nothing behind.

    Raises:
        OutputError: As from `claimed`.
    """
    refuse_unwritable(folder)
    if folder.exists():
        with claimed(folder):
            pass


def refuse_unwritable(folder: Path) -> None:
    """Refuse a folder that can't be written, or can't be made.

    Raises:
        OutputError: With the reason.
    """
    with _writing(folder):
        with suppress(FileNotFoundError, NotADirectoryError):
            folder.stat()
        nearest = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
        with tempfile.TemporaryFile(dir=nearest):
            pass


def recover(folder: Path) -> None:
    """Finish what a killed process began in a folder that is going to be read, if nobody is writing into it."""
    with suppress(Busy, OSError, ValueError):
        if _is_unfinished(folder):
            with locked(folder):
                _recover(folder)


def reason_without_report(folder: Path) -> str:
    """Return why a folder that looks like one of a report has none, to be appended to an error."""
    with suppress(OSError, ValueError):
        if older := journal.previous(folder):
            return f"; the last audit into it has not finished, and the report before it is in {older}"
    return ""


def _recover(folder: Path) -> None:
    journal.finish(folder)
    journal.sweep(folder)
    for stage in _stages_of_older_versions(folder):
        _put_back(stage, folder)


def _is_unfinished(folder: Path) -> bool:
    return journal.is_there(folder) or any(True for _ in _stages_of_older_versions(folder))


def _stages_of_older_versions(folder: Path) -> Iterator[Path]:
    """Yield the folders in which a version before this one wrote a report, and was killed."""
    for path in folder.glob(".auditor-????????"):
        if path.is_dir() and not path.is_symlink():
            inner = {entry.name for entry in path.iterdir()}
            if all(name in NAMES or name.startswith(".old-") for name in inner):
                yield path


def _put_back(stage: Path, folder: Path) -> None:
    """Remove a stage of an older version; if it was killed while it moved files, put the old report back."""
    for old in stage.glob(".old-*"):
        if (old / RECORD).exists() and not (folder / RECORD).exists():
            for path in sorted(old.iterdir(), key=lambda path: path.name == RECORD):
                target = folder / path.name
                if target.is_dir() and not target.is_symlink():
                    shutil.rmtree(target)
                path.replace(target)
    shutil.rmtree(stage)


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder with files of an audit's names that no audit wrote."""
    found = [name for name in NAMES if os.path.lexists(folder / name)]
    if found and not manifest.is_record(folder / RECORD) and journal.previous(folder) is None:
        raise OutputError(
            f"{folder} contains {found[0]!r} but no {RECORD} of an audit, so no audit wrote it: "
            "choose another folder or remove it"
        )
    mine = manifest.ours(folder)
    for name in found:
        path = folder / name
        if name not in mine and not (name in FOLDERS and path.is_dir() and not path.is_symlink()):
            raise _foreign(folder, name)
    for path in (folder / "arrays").glob("*.safetensors"):
        if (name := f"arrays/{path.name}") not in mine:
            raise _foreign(folder, name)


def _foreign(folder: Path, name: str) -> OutputError:
    return OutputError(
        f"{folder} contains {name!r}, which no audit wrote, and an audit would replace it: move it away, "
        "or choose another folder with --out"
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(locked(folder))
        except Busy:
            raise OutputError(
                f"another audit is writing into {folder}: wait until it has ended, or choose another folder with --out"
            ) from None
        yield


def _made(folder: Path) -> list[Path]:
    """Make a folder; return those that did not exist, the innermost first."""
    with _writing(folder):
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_if_empty(folders: list[Path]) -> None:
    for path in folders:
        with suppress(OSError):  # not empty
            path.rmdir()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(folder: Path, error: OSError) -> OutputError:
    name = str(folder) if len(str(folder)) < 300 else f"{str(folder)[:100]}…"
    return OutputError(
        f"can't write into {name}: {error.strerror or error}{reason_without_report(folder)}; "
        "choose another folder with --out"
    )
