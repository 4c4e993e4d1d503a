"""The files below a folder that are not among the images, counted by suffix and class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from auditor.data import suffixes

Kind = Literal["format", "hidden", "paired", "copy", "replaced", "other"]

_TOOLS: Final = frozenset([".ipynb_checkpoints", ".cache", ".thumbnails", ".trash", "@eadir", "__macosx"])
_NEVER: Final = frozenset([".git", ".hg", ".svn", ".dvc", ".venv"])  # nobody keeps the images of a data set there
_SYSTEM: Final = frozenset(["thumbs.db", "desktop.ini", ".ds_store"])


@dataclass(frozen=True, slots=True)
class Skipped:
    """Files of one kind, suffix and class that were not read.

    Attributes:
        kind: `format` for an image in a format that is not read, `hidden` for one that is hidden, `paired` for one in
            a format that is not read beside an image of the same name, `copy` for one in a folder that a program
            keeps for itself, `replaced` for a member of an archive that a later one of its name replaces, `other` for
            no image.
        suffix: In lower case, with the dot; empty without one.
        folder: The folder of the first level, which is the class; empty outside of one.
    """

    kind: Kind
    suffix: str
    folder: str
    count: int


def below(root: Path, *, arrays: bool) -> tuple[Skipped, ...]:
    """Return the files below a folder that are not read as images. A folder that can't be entered is left out.

    Args:
        arrays: The images are arrays.
    """
    counts = Counter(_walk(root, "", (), hidden=False, arrays=arrays))
    return tuple(Skipped(*key, count) for key, count in sorted(counts.items()))


def inside(name: str, *, hidden: bool, paired: bool = False) -> Kind:
    """Return the kind of a member of an archive that is not read.

    Args:
        hidden: A part of its name is hidden, or is what a system puts into archives by itself.
        paired: There is an image of the same name.
    """
    folders, _slash, last = name.rpartition("/")
    copies = any(folder.lower() in _TOOLS for folder in folders.split("/"))
    return _kind(last, hidden=hidden, copies=copies, paired=paired)


def _walk(
    path: Path, top: str, above: tuple[str, ...], *, hidden: bool, arrays: bool, copies: bool = False
) -> Iterator[tuple[Kind, str, str]]:
    here = os.path.realpath(path)
    if here in above:
        return  # a link to a parent folder
    try:
        with os.scandir(path) as scanned:
            entries = list(scanned)
    except OSError:
        return
    files = [one.name for one in entries if not one.is_dir()]
    stems = {Path(name).stem for name in files if _is_read(name, arrays=arrays)}
    for name in files:
        if not hidden and not name.startswith(".") and _is_read(name, arrays=arrays):
            continue
        is_pair = Path(name).stem in stems
        kind = _kind(name, hidden=hidden or name.startswith("."), copies=copies, paired=is_pair)
        yield kind, suffixes.of(name), top
    for one in entries:
        if one.is_dir() and one.name.lower() not in _NEVER:
            is_tool = one.name.lower() in _TOOLS or one.name.lower().startswith(".trash")
            is_hidden = hidden or one.name.startswith(".") or is_tool
            yield from _walk(
                path / one.name,
                top or _printable(one.name),
                (*above, here),
                hidden=is_hidden,
                arrays=arrays,
                copies=copies or is_tool,
            )


def _is_read(name: str, *, arrays: bool) -> bool:
    suffix = suffixes.of(name)
    return (suffix == suffixes.ARRAY) == arrays and suffix in suffixes.readable()


def _kind(name: str, *, hidden: bool, copies: bool, paired: bool) -> Kind:
    if not suffixes.is_image(suffixes.of(name)) or name.startswith("._") or name.lower() in _SYSTEM:
        return "other"
    if copies:
        return "copy"
    if hidden:
        return "hidden"
    return "paired" if paired else "format"


def _printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "replace")
