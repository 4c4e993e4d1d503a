"""A file that is read in pieces: of this machine, or at an address."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from auditor.errors import DataError
from auditor.process.regular_files import opened


@runtime_checkable
class Location(Protocol):
    """Where a file lies. It holds nothing open, so any process and any thread may read from it."""

    @property
    def address(self) -> str:
        """The path or the address, as messages name it."""
        ...

    @property
    def path(self) -> Path:
        """The same as a path."""
        ...

    def size(self) -> int:
        """Return the number of bytes.

        Raises:
            OSError: There is no such file, or it can't be read.
        """
        ...

    def read(self, start: int, length: int) -> bytes:
        """Return `length` bytes from `start` on; fewer where the file ends before.

        Raises:
            OSError: They can't be read.
        """
        ...

    def open(self) -> Any:
        """Open the file as a binary file that is read at any place.

        Raises:
            OSError: It can't be opened.
        """
        ...

    def stamp(self) -> str:
        """Return what is different after the file was written again.

        Raises:
            OSError: There is no such file.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A regular file of this machine."""

    path: Path

    @property
    def address(self) -> str:
        """The path, as messages name it."""
        return str(self.path)

    def size(self) -> int:
        """Return the number of bytes."""
        with opened(self.path) as file:
            return os.fstat(file.fileno()).st_size

    def read(self, start: int, length: int) -> bytes:
        """Return `length` bytes from `start` on; fewer where the file ends before."""
        with opened(self.path) as file:
            rest = os.fstat(file.fileno()).st_size - start  # a larger request would take its memory first
            file.seek(start)
            return file.read(max(0, min(length, rest)))

    def open(self) -> BufferedReader:
        """Open the file for reading at any place."""
        return opened(self.path)

    def stamp(self) -> str:
        """Return the size and the times of the last changes."""
        about = self.path.stat()
        return f"{about.st_size} {about.st_mtime_ns} {about.st_ctime_ns}"


def exactly(location: Location, start: int, length: int) -> bytes:
    """Return `length` bytes from `start` on.

    Raises:
        OSError: They can't be read, or the file ends before.
    """
    found = location.read(start, length)
    if len(found) < length:
        raise OSError(errno.EIO, f"cut: {len(found):,} of {length:,} bytes", str(location.path))
    return found


def unreadable(what: str, location: Location, reason: OSError | str) -> DataError:
    """Return the error of a file that can't be read as what it seems to be."""
    why = (reason.strerror or str(reason)).lower() if isinstance(reason, OSError) else reason
    return DataError(f"{what} {location.address} can't be read: {why}")
