"""Images that are files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.process import regular_files


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
