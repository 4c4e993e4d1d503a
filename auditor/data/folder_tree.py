"""The files and folders below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from auditor.data import suffixes
from auditor.errors import DataError

_IGNORED: Final = frozenset(["__macosx", "thumbs.db", "desktop.ini"])


@dataclass(frozen=True, slots=True)
class Tree:
    """What is below a folder, as paths relative to it with `/`, each sorted by its bytes.

    Attributes:
        images: Files with the suffix of an image.
        others: All other files.
        folders: All folders.
        hidden: The hidden folders of the first level.
    """

    images: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)


def tree(root: Path) -> Tree:
    """Return the files and folders below a folder. Links are followed, hidden files are left out.

    Raises:
        DataError: A folder can't be read.
    """
    found, files = Tree(), list[str]()
    for entry in _walk(root, "", ()):
        if entry.endswith("/"):
            (found.hidden if entry.startswith(".") else found.folders).append(entry[:-1])
        else:
            files.append(entry)
    found.images.extend(suffixes.among(files))
    found.others.extend(set(files).difference(found.images) if len(files) > len(found.images) else ())
    for names in (found.images, found.others, found.folders, found.hidden):
        names.sort(key=os.fsencode)
    return found


def _walk(folder: Path, prefix: str, above: tuple[str, ...]) -> Iterator[str]:
    """Yield the files below a folder and, with a `/` at the end, the folders."""
    here = os.path.realpath(folder)
    if here in above:
        return  # a link to a parent folder
    try:
        with os.scandir(folder) as entries:
            listed = list(entries)
    except OSError as error:
        raise DataError(f"folder {folder} can't be read: {error.strerror}") from error
    for entry in listed:
        name = f"{prefix}{entry.name}"
        if entry.name.startswith(".") or entry.name.lower() in _IGNORED:
            if not prefix and entry.name.startswith(".") and _is_folder(entry):
                yield f"{name}/"
        elif _is_folder(entry):
            yield f"{name}/"
            yield from _walk(folder / entry.name, f"{name}/", (*above, here))
        else:
            yield name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links
        return False


def printable(name: str) -> str:
    """Return the name as valid text: bytes that are not UTF-8 are replaced."""
    return os.fsencode(name).decode("utf-8", "replace")
