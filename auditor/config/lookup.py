"""Where settings and plugins are looked for, and whose files are read there.

Files with fixed names are read although nobody named them. So they are looked for only in the working directory and the
folders above it up to the root of its project, and only files that nobody else can change are read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from auditor.errors import UsageError
from auditor.process.regular_files import opened

MARKS = (".git", ".hg", "pyproject.toml", "auditor.toml")
"""What makes a folder the root of a project."""

LARGEST = 2**20  # bytes of a file


def working_folder() -> Path:
    """Return the working directory.

    Raises:
        UsageError: It does not exist any more.
    """
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            f"the working directory can't be used: {error.strerror}; change to a folder that exists"
        ) from None


def folders(start: Path) -> tuple[Path, ...]:
    """Return the folders from `start` up to the root of its project, the nearest first.

    Without a root it is `start` alone. The search leaves neither the home folder nor the folders of one owner.
    """
    start, home = start.absolute(), _home()
    seen = []
    for folder in (start, *start.parents):
        if _owner(folder) != _owner(start):
            break
        seen.append(folder)
        if any(_owner(folder / mark) in {_owner(start), 0, _user()} for mark in MARKS):
            return tuple(seen)
        if folder == home:
            break
    return (start,)


def is_there(path: Path) -> bool:
    """Return whether there is anything at a path, even a link that leads nowhere."""
    return os.path.lexists(path)


def content(path: Path, *, start: Path) -> bytes:
    """Return the contents of a file that was found in one of `folders(start)`.

    Raises:
        OSError: It can't be read, is not a regular file or is too large.
        UsageError: Another user owns or can change it, or a folder between it and `start`.
    """
    with opened(path) as file:
        _refuse_foreign(path, os.fstat(file.fileno()), path)
        found = file.read(LARGEST + 1)
    if len(found) > LARGEST:
        raise OSError(None, f"larger than {LARGEST:,} bytes")
    for folder in _on_the_way(path, start):
        _refuse_foreign(path, folder.stat(), folder)
    return found


def relative(path: Path) -> str:
    """Return a path from the working directory, with `..` for a folder above it."""
    try:
        return os.path.relpath(path)
    except (OSError, ValueError):  # no working directory, or another drive
        return str(path)


def _on_the_way(path: Path, start: Path) -> Iterable[Path]:
    """Return the folders from `start` to that of the file, and the one that a link leads to."""
    between = (start.absolute(), *start.absolute().parents)
    end = between.index(path.parent) if path.parent in between else -1
    return dict.fromkeys([*between[: end + 1], path.parent, Path(os.path.realpath(path)).parent])


def _refuse_foreign(path: Path, found: os.stat_result, place: Path) -> None:
    if os.name == "nt":  # owners and modes mean nothing there
        return
    reason, remedy = "", ""
    if found.st_uid not in (_user(), 0):
        reason, remedy = f"belongs to another user (uid {found.st_uid})", f"chown {_user()}"
    elif changeable := _others_who_write(found):
        reason, remedy = f"can be changed by {changeable} (mode {stat.S_IMODE(found.st_mode):o})", "chmod go-w"
    if not reason:
        return
    name = relative(place)
    subject = name if place == path else f"the folder {name}"
    raise UsageError(
        f"{relative(path)} is not read, because {subject} {reason}: run `{remedy} {name}`, "
        + ("or use --no-plugins" if path.suffix == ".py" else "or name a file with --config")
    )


def _others_who_write(found: os.stat_result) -> str:
    """Return who else can change a file or replace what is in a folder; an empty text for nobody.

    The group of the present user is not somebody else: many systems give every user a group of their own, and let it
    write. In a folder with the sticky bit others can't replace a file.
    """
    if stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX:
        return ""
    if found.st_mode & stat.S_IWOTH:
        return "everybody"
    if found.st_mode & stat.S_IWGRP and found.st_gid not in (os.getegid(), 0):
        return f"the group {found.st_gid}"
    return ""


def _owner(path: Path) -> int | None:
    try:
        return path.lstat().st_uid
    except (OSError, ValueError):
        return None


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0


def _home() -> Path | None:
    """Return the home folder, without links, as the working directory is; None if there is none."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return Path(os.path.realpath(home)) if home.is_absolute() else None
