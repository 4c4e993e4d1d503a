"""Folders for temporary files and caches in a container that has none.

A container may have no home folder, no entry for its user and no folder for temporary files, and may be read-only but
for the output folder. matplotlib, torch and Python's `tempfile` then warn or break.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CACHES = ("MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR")


@contextmanager
def provided(beside: Path) -> Iterator[None]:
    """Let temporary files and caches go into a folder beside `beside` inside the block, if they have no other.

    Raises:
        OSError: There is no folder for temporary files, and none can be made beside `beside`.
    """
    before, environment = tempfile.tempdir, dict[str, str | None]()
    own = None if _has_temporary() else Path(tempfile.mkdtemp(prefix=".auditor-temporary-", dir=_nearest(beside)))
    caches = None
    try:
        if own:
            tempfile.tempdir = str(own)
            environment["TMPDIR"] = os.environ.get("TMPDIR")
            os.environ["TMPDIR"] = str(own)
        if not _has_caches():
            caches = Path(tempfile.mkdtemp(prefix="auditor-caches-"))
            for name in _CACHES:
                environment[name] = os.environ.get(name)
                os.environ.setdefault(name, str(caches / name.lower()))
        yield
    finally:
        _restore(environment)
        tempfile.tempdir = before
        for folder in filter(None, (caches, own)):
            shutil.rmtree(folder, ignore_errors=True)


def _has_temporary() -> bool:
    try:
        tempfile.gettempdir()
    except OSError:
        return False
    return True


def _has_caches() -> bool:
    """Return whether the folders of the user's caches and settings can be written, or made."""
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home raises where there is none
    if home == "~" or not os.access(home, os.W_OK):
        return False
    places = (("XDG_CACHE_HOME", ".cache"), ("XDG_CONFIG_HOME", ".config"))
    return all(_can_be_made(Path(os.environ.get(name) or Path(home) / usual)) for name, usual in places)


def _can_be_made(folder: Path) -> bool:
    nearest = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    return nearest.is_dir() and os.access(nearest, os.W_OK)


def _nearest(folder: Path) -> Path:
    """Return the nearest folder above `folder` that exists."""
    return next(path for path in folder.absolute().parents if path.is_dir())


def _restore(environment: dict[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
