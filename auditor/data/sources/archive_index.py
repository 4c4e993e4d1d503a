"""What is kept of the indexes of archives: the images, with the labels beside them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from auditor.data import manifest, skipped, suffixes
from auditor.data.manifest import Label
from auditor.data.names import Names
from auditor.data.skipped import Kind, Skipped
from auditor.data.sources.archive_images import ArchiveImages
from auditor.data.sources.location import Location, unreadable
from auditor.data.sources.member import Member
from auditor.data.sources.sample_labels import LONGEST, RANKS, label_of, sample_key
from auditor.data.suffixes import readable

_LARGE = 2**62  # of a number that a header declares; no file is as large


@dataclass(slots=True)
class ArchiveIndex:
    """What is kept of the indexes of some archives.

    Attributes:
        labelled: Whether files beside the images may hold their labels.
        names: The names of the images.
        beside: The labels beside the images, by image; empty if no image has one.
        folders: The folders that are members of their own.
        manifests: The tables.
        others: How many other members there are, by kind, suffix and folder.
        unread: The images in formats that are not read.
    """

    locations: tuple[Location, ...]
    read: Callable[[Location, Member], bytes]
    labelled: bool
    names: Names = field(default_factory=Names)
    beside: dict[int, Label] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    manifests: list[tuple[Location, Member]] = field(default_factory=list)
    others: Counter[tuple[Kind, str, str]] = field(default_factory=Counter)
    unread: Names = field(default_factory=Names)
    _which: array[int] = field(default_factory=lambda: array("i"))
    _table: array[int] = field(default_factory=lambda: array("q"))
    _problems: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        locations: Sequence[Location],
        members: Callable[[Location], Iterator[Member]],
        read: Callable[[Location, Member], bytes],
        *,
        labelled: bool,
    ) -> ArchiveIndex:
        """Return what is kept of archives.

        Raises:
            DataError: An archive can't be read.
        """
        kept = cls(tuple(locations), read, labelled)
        for number, location in enumerate(locations):
            kept._take(number, location, members(location))
        return kept

    def _take(self, number: int, location: Location, members: Iterable[Member]) -> None:
        """Keep the images of one archive, each with the label beside it."""
        labels, first, known = dict[str, tuple[int, Label]](), len(self.names), readable()
        for member in members:
            suffix = member.suffix
            if member.hidden:
                self._leave_out(member, hidden=True)
            elif member.name.endswith("/"):
                self.folders.add(member.name[:-1])
            elif suffix in known:
                self._keep(number, member)
            elif suffix in LONGEST and self.labelled and not member.problem:
                self._label(location, member, labels)
            elif suffix in manifest.TABLES:
                self.manifests.append((location, member))
            else:
                self._leave_out(member, hidden=False)
        for place in range(first, len(self.names) if labels else first):
            if found := labels.get(sample_key(self.names[place])):
                self.beside[place] = found[1]

    def _keep(self, number: int, member: Member) -> None:
        name, start, size, whole, checksum, packed, problem = member
        if problem:
            self._problems[len(self.names)] = problem
        self.names.append(name)
        self._which.append(number)
        if start > _LARGE or size > _LARGE or whole > _LARGE:
            start, size, whole = min(start, _LARGE), min(size, _LARGE), min(whole, _LARGE)
        self._table.extend((start, size, whole, -1 if checksum is None else checksum, packed))

    @property
    def suffixes(self) -> Counter[str]:
        """How many members there are by suffix, besides images that are read, labels and tables."""
        counts = Counter(suffixes.of(name) for name in self.unread)
        for (_kind, suffix, _folder), count in self.others.items():
            counts[suffix or "no suffix"] += count
        return counts

    def archive(self, place: int) -> int:
        """Return the number of the archive that an image lies in."""
        return self._which[place]

    def _leave_out(self, member: Member, *, hidden: bool) -> None:
        kind = skipped.inside(member.name, hidden=hidden)
        if member.name.endswith("/"):
            return
        if kind == "format":
            self.unread.append(member.name)
        else:
            self.others[kind, member.suffix, member.name.rpartition("/")[0]] += 1

    def left_out(self, classes: Container[str], replaced: Iterable[str] = ()) -> tuple[Skipped, ...]:
        """Return the members that are not among the images.

        Args:
            classes: The class folders.
            replaced: The names of images that a later member replaces.
        """
        counts, stems = self.others.copy(), {_stem(name) for name in self.names} if self.unread else set()
        for name in self.unread:
            kind = skipped.inside(name, hidden=False, paired=_stem(name) in stems)
            counts[kind, suffixes.of(name), name.rpartition("/")[0]] += 1
        for name in replaced:
            counts["replaced", suffixes.of(name), name.rpartition("/")[0]] += 1
        by_class = Counter[tuple[Kind, str, str]]()
        for (kind, suffix, folder), count in counts.items():
            by_class[kind, suffix, next((part for part in folder.split("/") if part in classes), "")] += count
        return tuple(Skipped(*key, count) for key, count in sorted(by_class.items()))

    def _label(self, location: Location, member: Member, labels: dict[str, tuple[int, Label]]) -> None:
        """Remember a label that lies beside an image; `.cls` is preferred to `.json`, and both to `.txt`."""
        rank, key = RANKS[member.suffix], sample_key(member.name)
        if member.size > LONGEST[member.suffix] or labels.get(key, (0, None))[0] > rank:
            return
        try:
            found = self.read(location, member)
        except OSError as error:
            raise unreadable("tar archive", location, error) from error
        label = label_of(member.suffix, found)
        if label is not None:
            labels[key] = (rank, label)

    def images(self, order: Sequence[int]) -> ArchiveImages:
        """Return the images in an order, or some of them."""
        which, table = np.frombuffer(self._which, np.int32), np.frombuffer(self._table, np.int64).reshape(-1, 5)
        return ArchiveImages(self.locations, self.names, self.read, which, table, self._problems).taken(order)


def _stem(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.rpartition('.')[0]}"
