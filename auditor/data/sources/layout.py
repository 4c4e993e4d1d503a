"""How a data set is laid out: class folders, and the parts (splits) that it has."""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from auditor.data.suffixes import readable
from auditor.errors import DataError, did_you_mean

SPLITS: Final = ("train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval")

_WORDS: Final = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class ClassFolders:
    """Images by class folders.

    Attributes:
        chosen: The indices of the images that belong to the data.
        labels: The folder of each of them; None for an image outside of all.
        folders: All class folders, sorted.
    """

    chosen: Sequence[int]
    labels: Sequence[str | None]
    folders: tuple[str, ...]


def class_folders(names: Sequence[str], empty: Iterable[str], what: str, *, split: str | None) -> ClassFolders:
    """Return the class folders of names with `/`, below the one folder that has them all, and in one split.

    Args:
        empty: Folders that are named by themselves, with or without images.
        what: Names the data in messages.

    Raises:
        DataError: There are several splits and none is chosen, or the chosen one is not there.
    """
    at, listed = _folders_of(names)  # an image lies in one of a few folders, so that only these are looked at
    above = _above(listed)
    tops = {folder[len(above) :].partition("/")[0] for folder in listed if len(folder) > len(above)}
    if tops and all(top.lower() in SPLITS for top in tops) and _depth(listed, above) > 1:
        above += f"{chosen_split(sorted(tops), what, split=split)}/"
    elif split is not None:
        raise DataError(f"{what} has no splits, but --split {split} was given; leave it out")
    inside = [folder.startswith(above) for folder in listed]
    chosen = range(len(names)) if all(inside) else [index for index, folder in enumerate(at) if inside[folder]]
    own = [folder[len(above) :].partition("/")[0] or None for folder in listed]
    labels = [own[at[index]] for index in chosen]
    below = {folder[len(above) :].partition("/")[0] for folder in empty if f"{folder}/".startswith(above)}
    with_images = {label for label, kept in zip(own, inside, strict=True) if kept and label}
    return ClassFolders(chosen, labels, tuple(sorted(with_images | (below - {""}))))


def _folders_of(names: Iterable[str]) -> tuple[array[int], list[str]]:
    """Return the place of each name's folder in a list, and this list; the folders have a `/` at the end."""
    places, at = dict[str, int](), array("i")
    for name in names:
        folder, slash, _last = name.rpartition("/")
        at.append(places.setdefault(folder + slash, len(places)))
    return at, list(places)


def _above(folders: Sequence[str]) -> str:
    """Return the folders above the class folders, which hold everything, with a `/` at the end."""
    above, depth = "", min((folder.count("/") for folder in folders), default=0)
    while depth > 1 and len(tops := {folder[len(above) :].partition("/")[0] for folder in folders}) == 1:
        above, depth = f"{above}{tops.pop()}/", depth - 1
    return above


def _depth(folders: Sequence[str], above: str) -> int:
    return max(folder[len(above) :].count("/") for folder in folders)


def chosen_split(splits: Sequence[str], what: str, *, split: str | None) -> str:
    """Return the split to audit.

    Raises:
        DataError: There are several and none is chosen, or the chosen one is not there.
    """
    if split is None and len(splits) == 1:
        return splits[0]
    flags = " or ".join(f"--split {name}" for name in splits)
    if split is None:
        raise DataError(f"{what} has the splits {', '.join(splits)}; choose one: {flags}")
    if split not in splits:
        raise DataError(f"{what} has no split {split!r}; give {flags}{did_you_mean(split, splits)}")
    return split


def split_of(path: str) -> str:
    """Return the split that the path of a shard names; empty if it names none."""
    words = [word for part in path.lower().split("/") for word in _WORDS.findall(part)]
    return next((word for word in words if word in SPLITS), "")


def no_images(what: str, others: Mapping[str, int]) -> str:
    """Return the message that there are no images, with what there is."""
    if not others:
        return f"{what} is empty; expected images ({', '.join(sorted(readable()))})"
    most = sorted(others.items(), key=lambda pair: -pair[1])[:3]
    kinds = ", ".join(f"{count} x {suffix}" for suffix, count in most)
    return f"{what} has no images, only {kinds}; expected {', '.join(sorted(readable()))}"


def of_split(paths: Collection[str], what: str, *, split: str | None) -> list[str]:
    """Return the shards of one split, by the names of the files and their folders, in their order.

    Raises:
        DataError: As from `chosen_split`.
    """
    ordered = sorted(paths)
    splits = sorted({split_of(path) for path in ordered})
    if splits == [""]:
        if split is not None:
            raise DataError(f"{what} has no splits, but --split {split} was given; leave it out")
        return ordered
    chosen = chosen_split([name for name in splits if name], what, split=split)
    return [path for path in ordered if split_of(path) == chosen]
