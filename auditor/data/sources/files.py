"""Images that are files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from auditor.data.names import Names
from auditor.process import regular_files


@dataclass(frozen=True, slots=True, eq=False)
class Below(Sequence[Path]):
    """The paths of files below a folder, each made only when it is asked for.

    Equal to any sequence of the same paths.
    """

    root: Path
    names: Names

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, place: int) -> Path: ...
    @overload
    def __getitem__(self, place: slice) -> Below: ...
    def __getitem__(self, place: int | slice) -> Path | Below:
        found = self.names[place]
        return self.root / found if isinstance(found, str) else Below(self.root, found)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash((self.root, self.names))


@dataclass(frozen=True, slots=True)
class Files:
    """Image files, in the order of their paths."""

    paths: Sequence[Path]

    def __len__(self) -> int:
        return len(self.paths)

    def path(self, index: int) -> Path:
        """Return the path of a file."""
        return self.paths[index]

    def content(self, index: int, *, most: int) -> bytes:
        """Return the contents of a file.

        Raises:
            OSError: As from `regular_files.content`.
        """
        return regular_files.content(self.paths[index], most=most)
