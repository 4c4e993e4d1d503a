"""Images that are members of archives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auditor.data.names import Names
from auditor.data.sources.location import Location
from auditor.data.sources.member import Member, refused
from auditor.language import _


@dataclass(frozen=True, slots=True, eq=False)
class ArchiveImages:
    """Members of archives, as images.

    Attributes:
        read: Reads a member of one of the archives.
        which: The archive of each image, as an index.
        table: Start, size, unpacked size, checksum (-1 if none), and whether it is packed, of each image, `[n, 5]`.
        problems: Why some images can't be read, by index.
    """

    locations: tuple[Location, ...]
    names: Names
    read: Callable[[Location, Member], bytes]
    which: NDArray[np.int32]
    table: NDArray[np.int64]
    problems: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        """Return the path of an image, through its archive."""
        return self._location(index).path / self.names[index]

    def _location(self, index: int) -> Location:
        return self.locations[int(self.which[index])]

    def content(self, index: int, *, most: int) -> bytes:
        """Return the bytes of an image.

        Raises:
            OSError: They can't be read, or there are more than `most`.
        """
        start, size, whole, checksum, packed = self.table[index].tolist()
        member = Member(self.names[index], start, size, whole, checksum, bool(packed), self.problems.get(index, ""))
        if member.problem:
            raise refused(member.problem, member.name)
        if max(size, whole) > most:
            raise refused(_("larger than {most:,} bytes", most=most), member.name)
        return self.read(self._location(index), member)

    def stamp(self) -> str:
        """Return what is different after an archive was written again."""
        return " ".join(location.stamp() for location in self.locations)

    def taken(self, order: Sequence[int]) -> ArchiveImages:
        """Return the images in another order, or some of them."""
        if order == range(len(self.names)):
            return self
        at = np.fromiter(order, np.int64, len(order))
        problems = {place: self.problems[index] for place, index in enumerate(order) if index in self.problems}
        return ArchiveImages(
            self.locations, self.names.take(order), self.read, self.which[at], self.table[at], problems
        )
