"""The part of a folder or a manifest that is audited."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from auditor.data import splits
from auditor.data.assumption import Assumption
from auditor.data.folder_tree import Tree, printable
from auditor.data.manifest import Manifest
from auditor.errors import DataError
from auditor.language import _


class Part(NamedTuple):
    """The images of one split.

    Attributes:
        names: Their paths below the root.
        below: Their paths without the folder of the split.
        folders: The folders of the split, without its own.
        assumptions: What was assumed.
    """

    names: list[str]
    below: list[str]
    folders: list[str]
    assumptions: tuple[Assumption, ...] = ()


def of_folder(root: Path, tree: Tree, asked: str | None) -> Part:
    """Return the images of the split that was asked for, or of the only one; all of them if there are no splits.

    Raises:
        DataError: There are several splits and none was asked for, or the one asked for is not there.
    """
    depth = splits.depth(tree.images) if asked is None else splits.depth_of(tree.images, asked)
    if depth is None:
        if asked is not None:
            raise DataError(f"folder {root} has no split {asked!r}; expected a folder of this name")
        return Part(tree.images, tree.images, tree.folders)
    at = [(name.split("/"), name) for name in tree.images]
    counts = Counter(path[depth] for path, _ in at if len(path) > depth + 1)
    above = {"/".join(path[:depth]) for path, _ in at if len(path) > depth + 1}
    wrapper = root.joinpath(*above) if len(above) == 1 else None
    chosen = splits.chosen(counts, asked, f"folder {root}", folder=wrapper)
    kept = [name for path, name in at if len(path) > depth + 1 and path[depth] == chosen]
    inside = [f for f in tree.folders if f.count("/") > depth and f.split("/")[depth] == chosen]
    beside = [f for f in tree.folders if f.count("/") < depth]
    strip = partial(_without, depth=0 if wrapper else depth, until=depth)
    folders = [*map(strip, inside), *([] if wrapper else beside)]
    below = [strip(name) for name in kept]
    return Part(kept, below, sorted(folders, key=os.fsencode), (_said(chosen, counts),))


def _without(name: str, *, depth: int, until: int) -> str:
    """Return a path without its parts from `depth` to `until`."""
    parts = name.split("/")
    return "/".join([*parts[:depth], *parts[until + 1 :]])


def of_manifest(path: Path, found: Manifest, asked: str | None) -> tuple[Manifest, tuple[Assumption, ...]]:
    """Return the entries of the split that was asked for, or of the only one, and what was assumed.

    Raises:
        DataError: There are several splits and none was asked for, or the one asked for is not there.
    """
    counts = Counter(split for split in found.splits if split)
    if asked is None and len({splits.kind(split) for split in counts} - {""}) < min(2, len(counts)):
        return found, ()
    if not counts:
        if asked is None:
            return found, ()
        raise DataError(f"manifest {path} has no column 'split'; --split {asked} needs one")
    chosen = splits.chosen(counts, asked, f"manifest {path}")
    kept = tuple(entry for entry, split in zip(found.entries, found.splits, strict=True) if split == chosen)
    return replace(found, entries=kept, splits=()), (_said(chosen, counts),)


def _said(chosen: str, counts: Mapping[str, int]) -> Assumption:
    if len(counts) == 1:
        return Assumption(_("the only split with images, {split!r}, is audited", split=printable(chosen)))
    return Assumption(_("of {n} splits, {split!r} is audited", n=len(counts), split=printable(chosen)))
