"""Training, validation and test images side by side: which of them are audited."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from auditor.errors import DataError, did_you_mean

_KINDS: Final = {
    "train": ("train", "training", "trn", "trainset"),
    "val": ("val", "valid", "validation", "dev", "valset", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "testset", "holdout"),
}
_KIND: Final = {word: kind for kind, words in _KINDS.items() for word in words}
_BESIDE: Final = frozenset(["images", "image", "imgs", "img", "set", "data", "split", "dataset", "full"])
_DEEPEST: Final = 3


def kind(name: str) -> str:
    """Return `train`, `val` or `test` for the name of a split, such as `valid` or `train2017`; empty for others."""
    words = [word for word in re.findall(r"[^\W\d_]+", name.casefold()) if word not in _BESIDE]
    return _KIND.get(words[0], "") if len(words) == 1 else ""


def depth(names: Iterable[str]) -> int | None:
    """Return at which level of folders the images are split; None if they aren't.

    Args:
        names: The paths of the images, with `/`.
    """
    paths = [name.split("/") for name in names]
    for level in range(_DEEPEST):
        found = Counter(path[level] for path in paths if len(path) > level + 1)
        kinds = {kind(folder) for folder in found}
        if level == 0 and (len(kinds - {""}) > 1 or (kinds and "" not in kinds and _nested(paths))):
            return level
        if level and len(kinds) > 1 and "" not in kinds and all(len(path) > level + 1 for path in paths):
            return level
    return None


def _nested(paths: Sequence[Sequence[str]]) -> bool:
    return all(len(path) > 2 for path in paths)


def depth_of(names: Iterable[str], asked: str) -> int | None:
    """Return at which level of folders a split lies; None if it is at none."""
    paths = [name.split("/") for name in names]
    for level in range(_DEEPEST):
        if matching({path[level] for path in paths if len(path) > level + 1}, asked):
            return level
    return None


def matching(found: Iterable[str], asked: str) -> list[str]:
    """Return the splits that are meant by a name: the one called so, or else those of the same kind."""
    names = sorted(found)
    exact = [name for name in names if name == asked] or [n for n in names if n.casefold() == asked.casefold()]
    return exact or [name for name in names if kind(asked) and kind(name) == kind(asked)]


def chosen(found: Mapping[str, int], asked: str | None, where: str, *, folder: Path | None = None) -> str:
    """Return the split to audit.

    Args:
        found: The number of images by the name of the split.
        where: What has the splits, for the message.
        folder: The folder that the splits lie in, if each is a folder of its own.

    Raises:
        DataError: None was asked for and there are several, or the one that was asked for is not there.
    """
    if asked is None and len(found) == 1:
        return next(iter(found))
    if asked is None:
        raise DataError(_which(found, where, folder))
    names = matching(found, asked)
    if len(names) != 1:
        what = "has no split" if not names else "has several splits like"
        hint = did_you_mean(asked, found) if not names else ""
        raise DataError(f"{where} {what} {asked!r}; its splits are: {', '.join(sorted(found))}{hint}")
    return names[0]


def _which(found: Mapping[str, int], where: str, folder: Path | None) -> str:
    counts = ", ".join(f"{name} ({found[name]:,} image{'' if found[name] == 1 else 's'})" for name in sorted(found))
    ways = [f"--split {name}" for name in sorted(found)]
    last = next((name for name in sorted(found) if kind(name) == "val"), sorted(found)[-1])
    path = f", or for example --data {folder / last}" if folder else ""
    return f"{where} has {len(found)} splits: {counts}; choose one: {', '.join(ways[:-1])} or {ways[-1]}{path}"
