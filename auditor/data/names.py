"""The names of many images, in one piece of memory."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import overload


class Names(Sequence[str]):
    """A list of names that takes a few bytes more than the names; a list of texts takes 60 bytes more for each.

    Equal to any sequence of the same names.
    """

    __slots__ = ("_ends", "_text")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._text, self._ends = bytearray(), array("q", [0])
        self.extend(names)

    def append(self, name: str) -> None:
        """Add a name. One of bytes that are not UTF-8 may have surrogates for them, as from `os.listdir`."""
        self._text += name.encode("utf-8", "surrogateescape")
        self._ends.append(len(self._text))

    def extend(self, names: Iterable[str]) -> None:
        """Add names."""
        for name in names:
            self.append(name)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Names: ...
    def __getitem__(self, place: int | slice) -> str | Names:
        if isinstance(place, slice):
            return self.take(range(len(self))[place])
        at = range(len(self))[place]
        return self._text[self._ends[at] : self._ends[at + 1]].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        for start, end in pairwise(self._ends):
            yield self._text[start:end].decode("utf-8", "surrogateescape")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Names):
            return self._ends == other._ends and self._text == other._text
        if isinstance(other, Sequence) and not isinstance(other, str):
            return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        return NotImplemented

    def __hash__(self) -> int:
        return hash((len(self), bytes(self._text[:4096])))

    def __repr__(self) -> str:
        return f"Names({len(self)}: {', '.join(self[:3])}{', ...' if len(self) > 3 else ''})"

    def take(self, order: Iterable[int]) -> Names:
        """Return some of the names, in another order."""
        return Names(self[place] for place in order)

    def order(self) -> Sequence[int]:
        """Return the places of the names in the order of their bytes, equal ones in their order.

        It is a range only if the names are in this order, and all different, as in most archives.
        """
        if all(a < b for a, b in pairwise(self)):
            return range(len(self))
        return sorted(range(len(self)), key=lambda place: os.fsencode(self[place]))
