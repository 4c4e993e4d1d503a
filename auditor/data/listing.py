"""List the images of a data set, with the labels of their folders or their manifest."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from auditor.data import image, manifest
from auditor.data.image import LARGEST
from auditor.data.manifest import Label
from auditor.data.sources.files import Files
from auditor.data.sources.inventory import Inventory
from auditor.data.sources.recognition import recognised
from auditor.data.sources.source import Source
from auditor.errors import DataError, did_you_mean
from auditor.language import short
from auditor.process import interrupts
from auditor.process.regular_files import expanded, impossible

Scheme = Callable[[str], Inventory | Iterable[tuple[Path, Label]]]

_NO_SCHEMES: Final[Mapping[str, Scheme]] = MappingProxyType({})
_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_.+-]+(?=:)")
_IGNORED: Final = frozenset(["__macosx", "thumbs.db", "desktop.ini"])


@dataclass(frozen=True)
class Listing:
    """Images in a stable order; they are not opened yet.

    Attributes:
        names: Paths relative to the root, with `/`.
        labels: The folder's name, the text or number of the manifest, or None.
        folders: All class folders, sorted, with those that have no images; () for a manifest.
        archive: The source of images that are not files of their own; `files` is then ().
        class_names: The names of the classes by number, where the labels are numbers and the data name them.
    """

    root: Path
    files: Sequence[Path]
    names: Sequence[str]
    labels: Sequence[Label]
    folders: tuple[str, ...] = ()
    archive: Source | None = None
    class_names: tuple[str, ...] = ()

    @property
    def source(self) -> Source:
        """The source of the bytes of all images."""
        return self.archive or Files(self.files)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the names, the labels and the contents of all files."""
        total = hashlib.sha256(json.dumps(self.folders).encode())
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
        return tuple(_digests(self.source))


def listing(source: str, *, schemes: Mapping[str, Scheme] = _NO_SCHEMES, split: str | None = None) -> Listing:
    """Return the images of a folder, of a manifest, of an archive, a table or an address, or of a plugin.

    The folders of the first level are the classes; images outside of them have no label. Hidden files are
    left out, links are followed.

    Args:
        schemes: The sources of plugins, for `scheme:rest`.
        split: The part of the data to list; None for all of it, or for the only one.

    Raises:
        DataError: There is no such source, or it has no images.
    """
    found = _SCHEME.match(source)
    if found and found[0] in schemes:
        given = _given(source, schemes[found[0]], source[found.end() + 1 :])
        return _of_inventory(source, given) if isinstance(given, Inventory) else _of_plugin(source, given)
    if inventory := recognised(source, split=split):
        return _of_inventory(source, inventory)
    path = expanded(Path(source.removeprefix("file://")))
    if reason := impossible(path):
        raise DataError(f"data {short(source, 80)!r} can't be a path: {reason}")
    if path.is_dir():
        return _of_folder(path)
    if not path.exists():
        raise DataError(_missing(source, path, schemes))
    if path.suffix.lower() in manifest.SUFFIXES:
        return _of_manifest(path)
    raise DataError(f"data {source} is a file; expected a folder of images or a manifest ({_those(manifest.SUFFIXES)})")


def _of_inventory(source: str, found: Inventory) -> Listing:
    """Return the images of an inventory.

    Raises:
        DataError: It has no images, or other numbers of images, names and labels.
    """
    names, labels = tuple(found.names), tuple(found.labels)
    if not names or not len(names) == len(labels) == len(found.source):
        raise DataError(
            f"data source {source} has {len(found.source)} images, {len(names)} names and {len(labels)} labels; "
            "expected at least one image, and a name and a label for each"
        )
    return Listing(Path(source), (), names, labels, found.folders, found.source, found.class_names)


def _missing(source: str, path: Path, schemes: Mapping[str, Scheme]) -> str:
    scheme = _SCHEME.match(source)
    if scheme:
        known = ", ".join(sorted(schemes)) or "none"
        return f"there is no data source {scheme[0]!r}; plugins provide: {known}{did_you_mean(scheme[0], schemes)}"
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"data {source} does not exist; expected a folder of images or a manifest{did_you_mean(path.name, beside)}"


def _of_folder(root: Path) -> Listing:
    others: Counter[str] = Counter()
    names, folders = [], []
    for name in _walk(root, "", ()):
        if name.endswith("/"):
            folders.append(name[:-1])
        elif Path(name).suffix.lower() in image.SUFFIXES:
            names.append(name)
        else:
            others[Path(name).suffix.lower() or "no suffix"] += 1
    if not names:
        raise DataError(_no_image(root, others))
    names.sort(key=os.fsencode)
    labels = tuple(_printable(n.partition("/")[0]) if "/" in n else None for n in names)
    return Listing(
        root=root,
        files=tuple(root / name for name in names),
        names=tuple(map(_printable, names)),
        labels=labels,
        folders=tuple(map(_printable, sorted(folders, key=os.fsencode))),
    )


def _walk(folder: Path, prefix: str, above: tuple[str, ...]) -> Iterator[str]:
    """Yield the files below a folder and, with a `/` at the end, the folders of the first level."""
    here = os.path.realpath(folder)
    if here in above:
        return  # a link to a parent folder
    try:
        entries = [e for e in os.scandir(folder) if not e.name.startswith(".") and e.name.lower() not in _IGNORED]
    except OSError as error:
        raise DataError(f"folder {folder} can't be read: {error.strerror}") from error
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            if not prefix:
                yield f"{name}/"
            yield from _walk(folder / entry.name, f"{name}/", (*above, here))
        else:
            yield name


def _no_image(root: Path, others: Counter[str]) -> str:
    if not others:
        return f"folder {root} is empty; expected images ({_those(sorted(image.SUFFIXES))})"
    kinds = ", ".join(f"{count} x {suffix}" for suffix, count in others.most_common(3))
    return f"folder {root} has no images, only {kinds}; expected {_those(sorted(image.SUFFIXES))}"


def _of_manifest(path: Path) -> Listing:
    root = path.parent
    entries = manifest.read(path)
    files = tuple(root / expanded(Path(entry.path)) for entry in entries)
    return Listing(root, files, tuple(_name(f, root) for f in files), tuple(e.label for e in entries))


def _given(source: str, scheme: Scheme, rest: str) -> Inventory | list[tuple[Path, Label]]:
    """Return what a plugin's data source gives: an inventory, or paths and labels.

    Raises:
        DataError: The source raised, or gives something else than pairs of a path and a label.
    """
    try:
        given = scheme(rest)
        if isinstance(given, Inventory):
            return given
        return [(Path(path), label.item() if isinstance(label, np.generic) else label) for path, label in given]
    except (Exception, SystemExit) as error:  # other people's code may raise any exception
        raise DataError(
            f"data source {source} failed: {type(error).__name__}: {' '.join(str(error).split())}; "
            "it has to give pairs of a path and a label"
        ) from error


def _of_plugin(source: str, entries: list[tuple[Path, Label]]) -> Listing:
    if not entries:
        raise DataError(f"data source {source} has no images")
    files = tuple(path for path, _ in entries)
    root = Path(os.path.commonpath([path.absolute().parent for path in files]))
    return Listing(root, files, tuple(_name(f.absolute(), root) for f in files), tuple(label for _, label in entries))


def _name(path: Path, root: Path) -> str:
    inside = path.relative_to(root) if path.is_relative_to(root) else path
    return _printable(inside.as_posix())


def _printable(name: str) -> str:
    """Return the name as valid text: bytes that are not UTF-8 are replaced."""
    return os.fsencode(name).decode("utf-8", "replace")


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
