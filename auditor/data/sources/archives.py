"""Images inside of tar and zip archives: class folders, a manifest, or samples with their labels beside them.

A WebDataset is one or more tar archives. Members whose names differ only after the first dot are one sample: an image,
and its label as `.cls` (a number), `.json` (an object) or `.txt` (a name).
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from auditor.data import manifest
from auditor.data.manifest import Label
from auditor.data.sources import layout, tar
from auditor.data.sources import zip as zipped
from auditor.data.sources.inventory import Inventory
from auditor.data.sources.location import Location, exactly, unreadable
from auditor.data.sources.member import Member, refused
from auditor.data.suffixes import readable
from auditor.errors import DataError
from auditor.language import _

_KEYS: Final = ("label", "cls", "class", "class_id", "class_name", "target", "category", "y")
_LONGEST: Final = {".cls": 4096, ".txt": 4096, ".json": 2**20}
_RANKS: Final = {".cls": 3, ".json": 2, ".txt": 1}
_LONGEST_NAME: Final = 100
_LARGEST_MANIFEST: Final = 2**28


@dataclass(frozen=True, slots=True)
class Archives:
    """Members of archives, as images.

    Attributes:
        read: Reads a member of one of the archives.
        which: The archive of each image, as an index.
        table: Start, size, unpacked size, checksum (-1 if none), and whether it is packed, of each image in turn.
        problems: Why some images can't be read, by index.
    """

    locations: tuple[Location, ...]
    names: Sequence[str]
    read: Callable[[Location, Member], bytes]
    which: Sequence[int]
    table: Sequence[int]
    problems: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        """Return the path of an image, through its archive."""
        return self.locations[self.which[index]].path / self.names[index]

    def content(self, index: int, *, most: int) -> bytes:
        """Return the bytes of an image.

        Raises:
            OSError: They can't be read, or there are more than `most`.
        """
        start, size, whole, checksum, packed = self.table[5 * index : 5 * index + 5]
        member = Member(self.names[index], start, size, whole, checksum, bool(packed), self.problems.get(index, ""))
        if member.problem:
            raise refused(member.problem, member.name)
        if max(size, whole) > most:
            raise refused(_("larger than {most:,} bytes", most=most), member.name)
        return self.read(self.locations[self.which[index]], member)

    def stamp(self) -> str:
        """Return what is different after an archive was written again."""
        return " ".join(location.stamp() for location in self.locations)


def of_zips(locations: Sequence[Location], what: str, *, split: str | None) -> Inventory:
    """Return the images of zip archives, which are one data set.

    Args:
        what: Names the archives in messages.

    Raises:
        DataError: An archive can't be read, or there are no images.
    """
    return _arranged(_Kept.of(locations, zipped.members, zipped.content), what, split=split)


def of_tars(locations: Sequence[Location], what: str, *, split: str | None) -> Inventory:
    """Return the images of tar archives, which are one data set.

    Args:
        what: Names the archives in messages.

    Raises:
        DataError: An archive can't be read, or there are no images.
    """
    kept = _Kept.of(locations, tar.members, _stored)
    if any(label is not None for label in kept.beside):
        return _samples(kept)
    return _arranged(kept, what, split=split)


def _stored(location: Location, member: Member) -> bytes:
    return exactly(location, member.start, member.size)


@dataclass(slots=True)
class _Kept:
    """What is kept of the indexes of some archives, by image."""

    locations: tuple[Location, ...]
    read: Callable[[Location, Member], bytes]
    names: list[str] = field(default_factory=list)
    which: array[int] = field(default_factory=lambda: array("i"))
    table: array[int] = field(default_factory=lambda: array("q"))
    problems: dict[int, str] = field(default_factory=dict)
    beside: list[Label] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    manifests: list[tuple[Location, Member]] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        locations: Sequence[Location],
        members: Callable[[Location], Iterator[Member]],
        read: Callable[[Location, Member], bytes],
    ) -> _Kept:
        kept = cls(tuple(locations), read)
        for number, location in enumerate(locations):
            kept.take(number, location, members(location))
        return kept

    def take(self, number: int, location: Location, members: Iterable[Member]) -> None:
        """Keep the images of one archive, each with the label beside it."""
        labels, first = dict[str, tuple[int, Label]](), len(self.names)
        for member in members:
            if member.hidden:
                continue
            if member.name.endswith("/"):
                self.folders.add(member.name[:-1])
            elif member.suffix in readable():
                self._keep(number, member)
            elif member.suffix in _LONGEST and self.read is _stored and not member.problem:
                self._label(location, member, labels)
            elif member.suffix in manifest.TABLES:
                self.manifests.append((location, member))
            else:
                suffix = member.suffix or "no suffix"
                self.others[suffix] = self.others.get(suffix, 0) + 1
        keys = map(_sample_key, self.names[first:])
        self.beside += [labels.get(key, (0, None))[1] for key in keys]

    def _keep(self, number: int, member: Member) -> None:
        if member.problem:
            self.problems[len(self.names)] = member.problem
        self.names.append(member.name)
        self.which.append(number)
        checksum = -1 if member.checksum is None else member.checksum
        large = 2**62
        self.table.extend((min(member.start, large), min(member.size, large), min(member.whole, large)))
        self.table.extend((checksum, member.packed))

    def _label(self, location: Location, member: Member, labels: dict[str, tuple[int, Label]]) -> None:
        """Remember a label that lies beside an image; `.cls` is preferred to `.json`, and both to `.txt`."""
        rank, key = _RANKS[member.suffix], _sample_key(member.name)
        if member.size > _LONGEST[member.suffix] or labels.get(key, (0, None))[0] > rank:
            return
        try:
            found = self.read(location, member)
        except OSError as error:
            raise unreadable("tar archive", location, error) from error
        label = _label_of(member.suffix, found)
        if label is not None:
            labels[key] = (rank, label)

    def source(self, order: Sequence[int]) -> Archives:
        """Return the images in another order, or some of them."""
        if len(order) == len(self.names) and all(a == b for a, b in enumerate(order)):
            return Archives(self.locations, self.names, self.read, self.which, self.table, self.problems)
        table = array("q")
        for index in order:
            table.extend(self.table[5 * index : 5 * index + 5])
        names = [self.names[index] for index in order]
        which = array("i", (self.which[index] for index in order))
        problems = {place: self.problems[index] for place, index in enumerate(order) if index in self.problems}
        return Archives(self.locations, names, self.read, which, table, problems)


def _sample_key(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition('.')[0]}"


def _label_of(suffix: str, found: bytes) -> Label:
    """Return the label in a file beside an image; None if it has none."""
    text = found.decode("utf-8-sig", "replace").strip()
    if suffix == ".json":
        return _label_in(text)
    if suffix == ".cls":
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text[:_LONGEST_NAME] or None
    return text if 0 < len(text) <= _LONGEST_NAME and text.isprintable() else None


def _label_in(text: str) -> Label:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, dict):
        keys = {str(key).lower(): value for key, value in found.items()}
        found = next((keys[key] for key in _KEYS if key in keys), None)
    if isinstance(found, bool) or not isinstance(found, str | int):
        return None
    return found[:_LONGEST_NAME] or None if isinstance(found, str) else found


def _samples(kept: _Kept) -> Inventory:
    """Return the samples of a WebDataset, in the order of the shards.

    Of several images of one sample, as an image and its mask, the one is meant whose name has one suffix.
    """
    simple = {_sample_key(name) for name in kept.names if _is_simple(name)}
    order = [i for i, name in enumerate(kept.names) if _is_simple(name) or _sample_key(name) not in simple]
    source = kept.source(order)
    return Inventory(source, shown(source), [kept.beside[index] for index in order])


def _is_simple(name: str) -> bool:
    return name.rpartition("/")[2].count(".") == 1


def _arranged(kept: _Kept, what: str, *, split: str | None) -> Inventory:
    """Return the images of archives that hold class folders, or a manifest.

    Raises:
        DataError: There are no images.
    """
    if not kept.names:
        raise DataError(layout.no_images(what, kept.others))
    order = sorted(range(len(kept.names)), key=kept.names.__getitem__)
    names = [kept.names[index] for index in order]
    if listed := _manifest(kept, what, names):
        order = [order[index] for index, _label in listed]
        source = kept.source(order)
        return Inventory(source, shown(source), [label for _index, label in listed])
    found = layout.class_folders(names, kept.folders, what, split=split)
    source = kept.source([order[index] for index in found.chosen])
    return Inventory(source, shown(source), found.labels, found.folders)


def shown(source: Archives) -> Sequence[str]:
    """Return the names for the report: of several archives with the name of the archive."""
    if len(source.locations) == 1:
        return source.names
    archives = [location.path.name for location in source.locations]
    return [f"{archives[which]}/{name}" for which, name in zip(source.which, source.names, strict=True)]


def _manifest(kept: _Kept, what: str, names: Sequence[str]) -> list[tuple[int, Label]]:
    """Return the images of a manifest in an archive, with their labels; none if it has no manifest.

    Raises:
        DataError: The manifest can't be read, or it names an image that the archive lacks.
    """
    depth = min((member.name.count("/") for _where, member in kept.manifests), default=0)
    top = [(where, member) for where, member in kept.manifests if member.name.count("/") == depth]
    if len(top) != 1 or (depth and len({name.partition("/")[0] for name in names}) > 1):
        return []
    location, member = top[0]
    if member.problem or max(member.size, member.whole) > _LARGEST_MANIFEST:
        raise DataError(f"{what}: its manifest {member.name} can't be read: {member.problem or 'too large'}")
    try:
        found = kept.read(location, member)
    except OSError as error:
        raise DataError(f"{what}: its manifest {member.name} can't be read: {error.strerror}") from error
    return _listed(manifest.read(location.path / member.name, found=found).entries, member.name, what, names)


def _listed(entries: Sequence[manifest.Entry], own: str, what: str, names: Sequence[str]) -> list[tuple[int, Label]]:
    places, folder = {name: index for index, name in enumerate(names)}, own.rpartition("/")[0]
    listed = []
    for entry in entries:
        inside = "/".join(part for part in entry.path.replace("\\", "/").split("/") if part not in ("", "."))
        place = places.get(f"{folder}/{inside}" if folder else inside)
        if place is None:
            raise DataError(f"{what}: its manifest {own} names {entry.path!r}, which the archive does not have")
        listed.append((place, entry.label))
    return listed
