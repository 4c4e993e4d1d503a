"""The folders above each image, level by level: one of the levels holds the classes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_DEEPEST: Final = 3


@dataclass(frozen=True, slots=True)
class Level:
    """The folders of one level.

    Attributes:
        place: How deep the level lies: 1 for the folders of the root, 0 for the folder that each image lies in.
        labels: The folder of each image; None if it has none at this level.
        folders: All folders of the level, sorted, with those that have no images.
        parents: For each of these folders, the number of folders that have one of this name.
    """

    place: int
    labels: tuple[str | None, ...]
    folders: tuple[str, ...]
    parents: tuple[int, ...]


def levels(names: Sequence[str], folders: Sequence[str]) -> Iterator[Level]:
    """Yield the levels from the top down, and at last that of the folders in which the images lie.

    Args:
        names: The paths of the images, with `/`.
        folders: The paths of all folders.
    """
    at = [name.rpartition("/")[0] for name in names]
    above = {folder: folder.split("/") if folder else [] for folder in set(at)}  # one of the few folders that there are
    deepest = min(_DEEPEST, max(map(len, above.values()), default=0))
    for place in range(1, deepest + 1):
        own = {folder: path[place - 1] if len(path) >= place else None for folder, path in above.items()}
        labels = tuple(own[folder] for folder in at)
        yield _level(place, labels, [folder for folder in folders if folder.count("/") == place - 1])
    if len({len(path) for path in above.values()}) > 1:
        last = {folder: path[-1] if path else None for folder, path in above.items()}
        yield _level(0, tuple(last[folder] for folder in at), sorted(folder for folder in above if folder))


def _level(place: int, labels: tuple[str | None, ...], folders: Sequence[str]) -> Level:
    parents: dict[str, set[str]] = {}
    for folder in folders:
        above, _, name = folder.rpartition("/")
        parents.setdefault(name, set()).add(above)
    names = sorted(parents, key=os.fsencode)
    return Level(place, labels, tuple(names), tuple(len(parents[name]) for name in names))
