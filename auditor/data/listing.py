"""List the images of a data set, with the labels of their folders or their manifest."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from auditor.data import folder_tree, manifest, manifest_files, parts, skipped, suffixes
from auditor.data.assumption import Assumption
from auditor.data.decoding.extras import install
from auditor.data.folder_tree import printable
from auditor.data.image import LARGEST
from auditor.data.label_cells import Several, of_value
from auditor.data.levels import Level, levels
from auditor.data.manifest import Label
from auditor.data.manifest_files import Whereabouts
from auditor.data.names import Names
from auditor.data.skipped import Skipped
from auditor.data.sources.files import Below, Files
from auditor.data.sources.inventory import Inventory
from auditor.data.sources.recognition import recognised
from auditor.data.sources.source import Decoded, Source
from auditor.errors import DataError, did_you_mean
from auditor.language import short
from auditor.process import interrupts
from auditor.process.regular_files import expanded, impossible

Scheme = Callable[[str], Inventory | Iterable[tuple[Path, Label]]]

_NO_SCHEMES: Final[Mapping[str, Scheme]] = MappingProxyType({})
_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_.+-]+(?=:)")


@dataclass(frozen=True)
class Listing:
    """Images in a stable order; they are not opened yet.

    Attributes:
        names: Paths relative to the root, with `/`.
        labels: The folder's name, the text or number of the manifest, or None.
        folders: All class folders, sorted, with those that have no images; () for a manifest.
        beside: The files of an archive that are not among the images; None where its source does not tell.
        archive: The source of images that are not files of their own; `files` is then ().
        walked: The images are those that were found below the root, and not named by a manifest.
        inner: The folders at deeper levels, one of which may hold the classes.
        hidden: The hidden folders beside the class folders, which are left out.
        numbers: The number of each class that a manifest gives.
        assumptions: What was assumed where the data leave it open.
    """

    root: Path
    files: Sequence[Path]
    names: Sequence[str]
    labels: Sequence[Label]
    folders: tuple[str, ...] = ()
    inner: tuple[Level, ...] = ()
    hidden: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()
    walked: bool = False
    archive: Source | None = None
    beside: tuple[Skipped, ...] | None = None

    @property
    def source(self) -> Source:
        """The source of the bytes of all images."""
        return self.archive or Files(self.files)

    @cached_property
    def skipped(self) -> tuple[Skipped, ...]:
        """The files below the root, or in the archive, that are not among the images; () for a manifest."""
        if self.beside is not None:
            return self.beside
        return skipped.below(self.root, arrays=suffixes.of(self.names[0]) == suffixes.ARRAY) if self.walked else ()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the names, the labels and the contents of all files."""
        total = hashlib.sha256(json.dumps(self.folders).encode())
        if self.numbers:
            total.update(json.dumps(self.numbers).encode())
        for entry in zip(self.names, self.labels, self.digests, strict=True):
            total.update(json.dumps(entry).encode() + b"\n")
        return total.hexdigest()

    @cached_property
    def duplicates(self) -> frozenset[int]:
        """The indices of files with the same contents as an earlier file."""
        first: dict[str, int] = {}
        return frozenset(i for i, digest in enumerate(self.digests) if digest and first.setdefault(digest, i) != i)

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of each image's contents; empty for an image that can't be read."""
        return tuple(self.source.digests if isinstance(self.source, Decoded) else _digests(self.source))

    def whereabouts(self, names: Sequence[str]) -> Whereabouts | None:
        """Return the folder that has missing files of a manifest; None if none near the root has them."""
        missing = [] if self.folders else [name for name in names if not manifest_files.present(self.root / name)]
        return manifest_files.whereabouts(missing, self.root) if missing else None


def listing(
    source: str,
    *,
    schemes: Mapping[str, Scheme] = _NO_SCHEMES,
    split: str | None = None,
    root: Path | None = None,
) -> Listing:
    """Return the images of a folder, of a manifest, of an archive, a table or an address, or of a plugin.

    The folders of the first level are the classes; images outside of them have no label. Hidden files are
    left out, links are followed.

    Args:
        split: The part to audit, of data with training, validation and test images.
        root: The folder that the paths of a manifest are relative to; None for its own.

    Raises:
        DataError: There is no such source, it has no images, or it has several splits and none was asked for.
    """
    found = _SCHEME.match(source)
    if found and found[0] in schemes:
        _refuse(source, split=split, root=root)
        given = _given(source, schemes[found[0]], source[found.end() + 1 :])
        return of_inventory(source, given) if isinstance(given, Inventory) else _of_plugin(source, given)
    if inventory := recognised(source, split=split):
        _refuse(source, split=None, root=root)
        return of_inventory(source, inventory)
    path = expanded(Path(source.removeprefix("file://")))
    if reason := impossible(path):
        raise DataError(f"data {short(source, 80)!r} can't be a path: {reason}")
    if path.is_dir():
        _refuse(source, split=None, root=root)
        return _of_folder(path, split)
    if not path.exists():
        raise DataError(_missing(source, path, schemes))
    if path.suffix.lower() in manifest.SUFFIXES:
        return _of_manifest(path, split, _root(root))
    raise DataError(f"data {source} is a file; expected a folder of images or a manifest ({_those(manifest.SUFFIXES)})")


def _refuse(source: str, *, split: str | None, root: Path | None) -> None:
    if root is not None:
        raise DataError(f"--root is the folder of a manifest's paths, but {source} is no manifest; leave it out")
    if split is not None:
        raise DataError(f"--split chooses among the splits of a folder or a manifest, but {source} is neither")


def _root(root: Path | None) -> Path | None:
    if root is not None and not expanded(root).is_dir():
        raise DataError(f"--root {root} is no folder; expected the folder that the paths of the manifest start from")
    return root and expanded(root)


def of_inventory(source: str, found: Inventory) -> Listing:
    """Return the images of an inventory, which messages call `source`.

    Raises:
        DataError: It has no images, or other numbers of images, names and labels.
    """
    names = found.names if isinstance(found.names, Names) else tuple(found.names)
    labels = tuple(found.labels)
    if not names or not len(names) == len(labels) == len(found.source):
        raise DataError(
            f"data source {source} has {len(found.source)} images, {len(names)} names and {len(labels)} labels; "
            "expected at least one image, and a name and a label for each"
        )
    numbers = {name: number for number, name in enumerate(found.class_names)}
    if len(numbers) == len(found.class_names):
        named = dict(enumerate(found.class_names))
        labels = tuple(_named(label, named) for label in labels)
    else:
        numbers = {}
    return Listing(
        root=Path(source),
        files=(),
        names=names,
        labels=labels,
        folders=found.folders,
        numbers=numbers,
        archive=found.source,
        beside=found.skipped,
    )


def _named(label: Label, names: Mapping[int, str]) -> Label:
    """Return a label, or several, with the names of the classes instead of their numbers."""
    if isinstance(label, Several):
        return label._replace(present=tuple(names.get(one, one) if isinstance(one, int) else one for one in label[0]))
    return names.get(label, label) if isinstance(label, int) else label


def _missing(source: str, path: Path, schemes: Mapping[str, Scheme]) -> str:
    scheme = _SCHEME.match(source)
    if scheme:
        known = ", ".join(sorted(schemes)) or "none"
        return f"there is no data source {scheme[0]!r}; plugins provide: {known}{did_you_mean(scheme[0], schemes)}"
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"data {source} does not exist; expected a folder of images or a manifest{did_you_mean(path.name, beside)}"


def _of_folder(root: Path, split: str | None) -> Listing:
    tree = folder_tree.tree(root)
    if not tree.images:
        raise DataError(_no_image(root, Counter(suffixes.of(name) or "no suffix" for name in tree.others)))
    names, below, folders, said = parts.of_folder(root, tree, split)
    tops = {folder: printable(folder) for folder in {n.partition("/")[0] for n in below}}  # one text for each class
    labels = tuple(tops[n.partition("/")[0]] if "/" in n else None for n in below)
    inner = levels([printable(name) for name in below], [printable(name) for name in folders])
    return Listing(
        root=root,
        files=Below(root, Names(names)),
        names=Names(map(printable, names)),
        labels=labels,
        folders=tuple(printable(name) for name in folders if "/" not in name),
        inner=tuple(level for level in inner if level.place != 1),
        hidden=tuple(map(printable, tree.hidden)),
        assumptions=said,
        walked=True,
    )


def _no_image(root: Path, others: Counter[str]) -> str:
    if not others:
        return f"folder {root} is empty; expected images ({_those(sorted(suffixes.readable()))})"
    kinds = ", ".join(f"{count} x {suffix}" for suffix, count in others.most_common(3))
    extras = sorted({suffixes.EXTRAS[suffix] for suffix in others if suffix in suffixes.EXTRAS})
    more = f"; to read them run {' and '.join(map(install, extras))}" if extras else ""
    return f"folder {root} has no images, only {kinds}; expected {_those(sorted(suffixes.readable()))}{more}"


def _of_manifest(path: Path, split: str | None, root: Path | None) -> Listing:
    found, said = parts.of_manifest(path, manifest.read(path), split)
    places = manifest_files.Places(root or path.parent, given=root is not None)
    below = Names(places.below(entry.path for entry in found.entries))
    return Listing(
        root=places.root,
        files=Below(places.root, below),
        names=Names(map(printable, below)),
        labels=tuple(entry.label for entry in found.entries),
        numbers=found.numbers,
        assumptions=(*found.assumptions, *said, *places.assumptions),
    )


def _given(source: str, scheme: Scheme, rest: str) -> Inventory | list[tuple[Path, Label]]:
    """Return what a plugin's data source gives: an inventory, or paths and labels.

    Raises:
        DataError: The source raised, or gives something else than pairs of a path and a label.
    """
    try:
        given = scheme(rest)
        if isinstance(given, Inventory):
            return given
        return [(Path(path), _of_scheme(label)) for path, label in given]
    except (Exception, SystemExit) as error:  # other people's code may raise any exception
        raise DataError(
            f"data source {source} failed: {type(error).__name__}: {' '.join(str(error).split())}; "
            "it has to give pairs of a path and a label"
        ) from error


def _of_scheme(label: Any) -> Label:
    """Return what a plugin gives for a label: a name, a number, or several of them."""
    return of_value(label.tolist() if isinstance(label, np.generic | np.ndarray) else label)


def _of_plugin(source: str, entries: list[tuple[Path, Label]]) -> Listing:
    if not entries:
        raise DataError(f"data source {source} has no images")
    files = tuple(path for path, _ in entries)
    root = Path(os.path.commonpath([path.absolute().parent for path in files]))
    return Listing(root, files, tuple(_name(f.absolute(), root) for f in files), tuple(label for _, label in entries))


def _name(path: Path, root: Path) -> str:
    inside = path.relative_to(root) if path.is_relative_to(root) else path
    return printable(inside.as_posix())


def _those(suffixes: Iterable[str]) -> str:
    return ", ".join(suffixes)


def _digests(source: Source, at_once: int = 1024) -> Iterator[str]:
    for start in range(0, len(source), at_once):
        some = range(start, min(start + at_once, len(source)))
        with interrupts.held(), ThreadPoolExecutor() as threads:  # an interrupt inside could leave a lock of its held
            found = list(threads.map(partial(_digest, source), some))
        yield from found


def _digest(source: Source, index: int) -> str:
    try:
        return hashlib.sha256(source.content(index, most=LARGEST)).hexdigest()
    except OSError:
        return ""
